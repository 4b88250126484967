# The pages about connections.

nav-connections = Connections

connections-intro = How media comes from each network to this appliance, and what to do where it does not come well. A network is a /24 of IPv4 or a /48 of IPv6; no address of a device is kept.
connections-recorded = Looking at this page is recorded in the audit log. Times are UTC.
connections-timeline-intro = What this person's browser and the appliance saw of the connection, in plain causes.
connections-period = Period
connections-last-day = Last 24 hours
connections-last-week = Last 7 days
connections-live = { $count ->
    [0] Nobody is in a lesson now
    [one] One participant is in a lesson now
   *[other] { $count } participants are in lessons now
}
connections-csv = Download as CSV
connections-none = Nobody has been in a lesson in this time.
connections-none-of-person = Nothing is known of this person's connections. They are kept for some weeks; the setting says how long.
connections-network = Network
connections-participants = Participants
connections-udp = UDP
connections-tcp = TCP
connections-tls = TLS on the port of the pages
connections-why = Why, and what to do
connections-ways = Ways of the media
connections-troubles = Trouble
connections-no-trouble = None
connections-now = Now
connections-lasted = Time in the lesson
connections-device = Browser and device
connections-device-unknown = Not reported
connections-lesson = { $lesson }, { $at }
connections-lesson-gone = A lesson, { $at }
connections-guest = Guest { $id }
connections-everywhere = All networks
connections-participants-of = { $count ->
    [one] One participant.
   *[other] { $count } participants.
}
connections-way-line = { $way } from { $subnet }, { $lasted }

connections-figure-rtt = Round trip
connections-figure-lost = Packets lost on the way here
connections-figure-fps = Frames a second of the teacher's picture
connections-figure-buffer = Delay of the sound in the browser
connections-ms = { $ms } ms
connections-percent = { $percent } %

connections-seconds = { $count } s
connections-minutes = { $count } min
connections-hours = { $hours } h { $minutes } min

way-udp = UDP
way-turn-udp = UDP through the relay
way-ice-tcp = TCP
way-turn-tcp = TCP through the relay
way-turn-tls = TLS through the relay

browser-chromium = Chrome
browser-edge = Edge
browser-firefox = Firefox
browser-safari = Safari
browser-other = Another browser
system-chromeos = ChromeOS
system-windows = Windows
system-macos = macOS
system-linux = Linux
system-ios = iPad or iPhone
system-android = Android
system-other = another system
connections-browser = { $browser } { $major } on { $system }

state-no-udp = No UDP
state-only-tls = Only the port of the pages
state-some-without-udp = Some without UDP
state-lossy = Losses
state-good = Good

advice-no-udp = All { $count } participants from { $subnet } came in over TCP: UDP { $port } towards this appliance seems blocked there. Open UDP { $port } to { $address }.
advice-only-tls = All { $count } participants from { $subnet } came in over TLS on the port of the pages only: UDP { $port } and the TCP port of media seem blocked there. Lessons work, but sound breaks up sooner. Open UDP { $port } to { $address }.
advice-no-udp-of-few = { $count ->
    [one] The one participant from { $subnet } came in without UDP.
   *[other] The { $count } participants from { $subnet } came in without UDP.
} That is too few to tell a network from a device. If it stays so with more of them, open UDP { $port } to { $address }.
advice-some-without-udp = { $some ->
    [one] One of { $count } participants came in without UDP, while it comes through for the others.
   *[other] { $some } of { $count } participants came in without UDP, while it comes through for the others.
} Look for a firewall or security software on those devices, or for a guest network with rules of its own.
advice-lossy = { $some ->
    [one] UDP comes through, but one of { $count } participants lost many packets.
   *[other] UDP comes through, but { $some } of { $count } participants lost many packets.
} On Wi-Fi, look for too many devices on one access point, a crowded channel or a weak signal.
advice-good = Media comes in over UDP, as it should. Nothing to do.

trouble-lossy = Packets lost: { $value }
trouble-slow = Slow network: { $value }
trouble-device = Slow device: { $value }
trouble-away = Connection lost: { $value }

cause-joined-udp = Joined over UDP
cause-joined-turn-udp = Joined over UDP through the relay
cause-joined-ice-tcp = Joined over TCP, because UDP did not come through
cause-joined-turn-tcp = Joined over TCP through the relay, because UDP did not come through
cause-joined-turn-tls = Joined over TLS on the port of the pages, because neither UDP nor the TCP port of media came through
cause-moved = Went on over { $way }
cause-loss = Wi-Fi loss { $percent } %
cause-slow = The network was slower than needed ({ $mbps } Mbit/s)
cause-device = This device was too slow (CPU)
cause-gaps = The sound broke up ({ $percent } % of it was made up)
cause-away = Connection lost
cause-left = Left
cause-vanished = Was gone without leaving
cause-with-carried = { $cause }; { $carried }

problem-microphone-denied = The microphone was not allowed
problem-microphone-missing = There was no microphone
problem-microphone-busy = The microphone was in use by another program
problem-microphone-silent = The microphone gave no sound
problem-microphone-failed = The microphone could not be sent
problem-camera-denied = The camera was not allowed
problem-camera-missing = There was no camera
problem-camera-busy = The camera was in use by another program
problem-camera-failed = The camera could not be sent
problem-sound-blocked = The browser held the sound back until somebody clicked
problem-media-refused = The connection for sound and pictures was refused

carried-softer = pictures were less sharp
carried-fewer-pictures = some pictures were off
carried-teacher-picture = of all pictures only the teacher's was left
carried-voices = all pictures were off
carried-teacher-voice = only the teacher was heard
