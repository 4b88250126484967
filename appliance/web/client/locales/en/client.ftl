# The classroom, in English. One message per sentence; placeables are names and numbers.

## General

title-today = Today – Belfry
title-lesson = { $name } – Belfry
loading = Loading…
close = Close
dismiss = Dismiss
ok = OK
cancel = Cancel
not-now = Not now
try-again = Try again
messages = Messages
notices = Notices
menus = Menus
copied = Link copied.
copy-by-hand = The link could not be copied. Select it and copy it by hand.
error-unreachable = The school's classroom server cannot be reached. Check the network of this device and try again.
error-offline = Not connected at the moment. Try again in a few seconds.
error-lesson = You cannot join this lesson.
sign-out = Sign out
lesson = Lesson
you = You

## Today

today-heading = Your classes today
today-now = Now
today-rest = Later and earlier today
today-all = Today
today-none-teacher = You have no classes in the timetable today.
today-none-student = You have no classes today.
class-all-day = All day
class-since = Since { $from }
class-time = { $from } to { $to }
class-running = { $count ->
    [0] Lesson is open
    [one] Lesson is open, { $count } person there
   *[other] Lesson is open, { $count } people there
  }
class-past = Finished
class-waiting-teacher = Waiting for the teacher
start = Start
rejoin = Rejoin
join = Join
start-class = Start { $name }
rejoin-class = Rejoin { $name }
join-class = Join { $name }
adhoc-heading = Lesson outside the timetable
adhoc-text = For a meeting with a parent or a visitor. They come in by a link and wait until you let them in.
adhoc-name = Name of the lesson
adhoc-start = Make lesson
adhoc-ready = “{ $name }” is ready.
adhoc-no-link = Links for guests are switched off in your district.
adhoc-open = Go to the lesson
guest-link = Link for guests
guest-link-note = Whoever opens this link gives a name and waits until you let them in.
copy-link = Copy link

## Joining

back-today = Back to today
join-before-teacher = The teacher has not come yet. You can join now and wait.
join-ready = Check how you look and sound, then join.
join-teach = Join and teach
joining = Joining…
join-note-microphone = You join with your microphone on.
join-note-muted = You join muted. You can unmute in the lesson.
device-check = Check camera and microphone
microphone = Microphone
camera = Camera
speaker = Speaker
microphone-on = Microphone on
microphone-off = Microphone off
camera-on = Camera on
camera-off = Camera off
check-devices = Test camera and microphone
camera-opening = Opening the camera…
camera-not-open = Your picture appears here.
camera-is-off = Your camera is off.
preview = Your own picture
level = Microphone level
level-speak = Say something: the bar should move.
level-heard = Your microphone works.
level-dead = No sound comes from this microphone. Choose another one, or check its switch.
play-tone = Play a test sound
tone-played = Did you hear three notes? If not, choose another speaker or turn up the volume.
device-unnamed = Device { $number }
quick-join = Skip this page next time when camera and microphone are allowed
retry-microphone = Try the microphone again
retry-camera = Try the camera again
trouble-microphone-denied = The browser does not allow the microphone. Click the icon at the left of the address bar, allow the microphone, then try again. You can join without it.
trouble-microphone-missing = No microphone was found. Plug one in, then try again. You can join without it.
trouble-microphone-busy = Another program is using the microphone. Close it, then try again. You can join without it.
trouble-microphone-insecure = This page is not secure, so the browser offers no microphone. Ask your school's IT for the right address.
trouble-microphone-unknown = The microphone could not be opened. Unplug it and plug it in again, then try again. You can join without it.
trouble-camera-denied = The browser does not allow the camera. Click the icon at the left of the address bar, allow the camera, then try again. You can join without it.
trouble-camera-missing = No camera was found. Plug one in, then try again. You can join without it.
trouble-camera-busy = Another program is using the camera. Close it, then try again. You can join without it.
trouble-camera-insecure = This page is not secure, so the browser offers no camera. Ask your school's IT for the right address.
trouble-camera-unknown = The camera could not be opened. Unplug it and plug it in again, then try again. You can join without it.

## Waiting and the end

waiting-connecting = Connecting…
waiting-teacher = Waiting for the teacher
waiting-admission = Waiting until the teacher lets you in
waiting-note = Keep this page open. The lesson starts here by itself.
over-left = You have left the lesson.
over-ended = The lesson has ended.
over-removed = You were removed from this lesson.
over-blocked = You cannot come back to this lesson.
over-elsewhere = You joined this lesson on another device or in another tab.
over-restarting = The server is restarting.
over-guest_links_off = The school has switched off links for guests.
over-full = The lesson is full.
over-slow_down = The connection was closed.
over-malformed = The connection was closed.
over-refused = The lesson could not be opened.

## The lesson

present = { $count ->
    [one] { $count } person
   *[other] { $count } people
  }
stage = Stage
gallery = Gallery
pages = Pages of the gallery
page-before = Previous page
page-after = Next page
page-of = { $page } of { $pages }
controls = Controls
more = More
name-you = { $name } (you)
role-teacher = Teacher
role-co_teacher = Co-teacher
role-guest = Guest
is-muted = muted
is-unmuted = microphone on
is-seen = camera on
is-unseen = camera off
hand-up = hand raised
paused = The picture is paused until the connection is better.
quality-excellent = Good connection
quality-good = Good connection
quality-poor = Weak connection
quality-poor-loss = Weak connection: { $percent } % of sound and picture is lost
quality-lost = No connection at the moment
quality-away = Not connected
link-softer = Your connection is slow: pictures are less sharp.
link-fewer_pictures = Your connection is slow: some pictures are off. You can hear everyone.
link-teacher_picture = Your connection is slow: you see the teacher only. You can hear everyone.
link-voices = You can hear everyone; pictures are off until the connection is better.
link-teacher_voice = You can hear the teacher; everything else is off until the connection is better.
link-hint-loss = It may help to sit nearer to the Wi-Fi.
link-cause-loss = Wi-Fi loss { $percent } %.
link-cause-bandwidth = Slow network.
link-cause-none = Weak connection.
link-of-softer = Pictures are less sharp.
link-of-fewer_pictures = Some pictures are off.
link-of-teacher_picture = Sees the teacher only.
link-of-voices = All pictures are off.
link-of-teacher_voice = Hears the teacher only.
mute = Mute
unmute = Unmute
start-video = Start video
stop-video = Stop video
share = Share
share-screen = Share screen
stop-sharing = Stop sharing
sharing-mine = You are sharing your screen.
screen-of = Screen of { $name }
raise-hand = Raise hand
lower-hand = Lower hand
settings = Settings
leave = Leave
locked-microphone = The teacher has turned off students' microphones.
locked-camera = The teacher has turned off students' cameras.
failed-microphone = The microphone could not be turned on. Try again.
failed-camera = The camera could not be turned on. Try again.
failed-screen_share = The screen could not be shared. Try again.

## Layout

layout = Layout
layout-class = Layout for the class
layout-gallery = Gallery: everyone
layout-focus = Focus: students see teachers only
layout-spotlight = Spotlight: one person large
layout-note = The spotlight shows the person you enlarged, or you.
speaking = { $name } is speaking
follow-me = Follow me: students see what I see
enlarge = Enlarge for me
shrink = Back to normal size
spotlight = Spotlight for everyone
end-spotlight = End spotlight

## People and the teacher's tools

people = People
people-calls = People, { $count } waiting for you
close-panel = Close { $title }
waiting = { $count ->
    [one] { $count } person is waiting
   *[other] { $count } people are waiting
  }
admit = Admit
admit-name = Admit { $name }
admit-all = Admit all
refuse-name = Refuse { $name }
hands = { $count ->
    [one] { $count } hand raised
   *[other] { $count } hands raised
  }
lower = Lower
lower-hand-of = Lower the hand of { $name }
lower-all-hands = Lower all
in-lesson = In the lesson ({ $count })
actions-for = Actions for { $name }
ask-unmute = Ask to unmute
stop-camera = Turn camera off
stop-screen = Stop their screen
make-co-teacher = Make co-teacher
end-co-teacher = Make student again
remove-from-lesson = Remove from lesson
blocked = Kept out of this lesson ({ $count })
blocked-note = They were removed and cannot come back until you let them.
unblock = Let back in
unblock-name = Let { $name } back in
class-tools = Class tools
mute-all = Mute all students
locks = Turn off for students
lock-microphones = Microphones
lock-cameras = Cameras
lock-screen_share = Screen sharing
chat-mode = Chat
chat-mode-on = On: students write to everyone
chat-mode-teacher_only = Students write to teachers only
chat-mode-off = Off for students
remove = Remove
remove-title = Remove { $name }?
remove-text = The reason is kept in the record of the lesson.
remove-reason = Reason
remove-block = Do not let them back into this lesson

## Chat

chat = Chat
chat-unread = Chat, { $count ->
    [one] { $count } new message
   *[other] { $count } new messages
  }
chat-messages = Chat messages
chat-empty = No messages yet.
chat-to = To
chat-to-everyone = Everyone
chat-to-teachers = Teachers only
chat-text = Message
chat-send = Send message
chat-delete = Delete message from { $name }
chat-is-off = The teacher has turned off the chat.

## Settings

pref-shortcuts = Single-key shortcuts
pref-pushToTalk = Hold space to talk
pref-speakerView = Show the person who speaks large
pref-mirrorSelf = Show my own picture as in a mirror
pref-moreVideo = Show more videos (needs a fast device)
shortcuts = Shortcuts
shortcut-microphone = Microphone
shortcut-camera = Camera
shortcut-hand = Raise or lower hand
shortcut-chat = Chat
shortcut-people = People

## Leaving

leave-title = Leave the lesson?
leave-text = You can come back while the lesson runs.
leave-text-teacher = The lesson can go on without you, or end for everyone.
leave-lesson = Leave lesson
leave-only = Leave, the lesson goes on
end-for-all = End lesson for everyone
stay = Stay

## Banners and messages

banner-reconnecting = Reconnecting. You are still in the lesson.
banner-connecting = Connecting sound and picture…
banner-sound-blocked = The browser holds back the sound of the lesson.
turn-on-sound = Turn on sound
banner-weak = Your connection is weak. Without your video others hear you better.
banner-weak-sound = Your connection is weak. Move closer to the Wi-Fi, or use a cable.
banner-silent = Your microphone is on, but no sound comes from it. Others cannot hear you.
fix-microphone = Fix microphone
other-device = Choose another
banner-moved-microphone = Your microphone was disconnected. In use now: { $device }.
banner-moved-camera = Your camera was disconnected. In use now: { $device }.
banner-lost-microphone = Your microphone was disconnected, and there is no other. Plug it in again, then unmute.
banner-lost-camera = Your camera was disconnected, and there is no other. Plug it in again, then start the video.
banner-new-microphone = New microphone: { $device }
banner-new-camera = New camera: { $device }
use-it = Use it
banner-grace = The teacher is away. The lesson closes at { $time } unless the teacher comes back.
banner-grace-open = The teacher is away.
notice-asked = The teacher asks you to unmute.
say-muted-microphone = The teacher has muted your microphone.
say-muted-camera = The teacher has turned off your camera.
say-muted-screen_share = The teacher has stopped your screen.
say-joined = { $name } joined.
say-joined-many = { $count } people joined.
say-waiting = { $count ->
    [one] { $count } person is waiting to be let in.
   *[other] { $count } people are waiting to be let in.
  }
say-hand = { $name } raised a hand.
say-chat = New message from { $name }.
say-admitted = You are in the lesson.
say-co-teacher = You are a co-teacher now.
say-student = You are a student again.
