# What the server-rendered pages say.

product = Belfry
page-title = { $title } · Belfry
skip-to-content = Skip to the content
sign-out = Sign out
cancel = Cancel
nav-label = Administration
crumbs-label = Where you are
nav-home = Overview
nav-people = People
nav-classes = Classes
nav-settings = Settings
nav-record = Audit log
nav-certificate = Certificate

theme-label = Colours
theme-device = Colours of this device
theme-light = Light colours
theme-dark = Dark colours

role-admin = Administrator
role-auditor = Auditor
role-teacher = Teacher
role-student = Student

field-optional = (optional)
field-default = If empty: { $value }
field-secret-set = Set. Enter a new value to replace it.
field-secret-unset = Not set

sign-in-title = Sign in
sign-in-username = User name
sign-in-password = Password
sign-in-go = Sign in
sign-in-forgotten = Forgotten your password? Your school's administrator can set a new one.
sign-in-wrong = The user name or the password is not right. Check both and try again.
sign-in-empty-username = Enter your user name.
sign-in-empty-password = Enter your password.
sign-in-throttled = { $seconds ->
    [one] Too many attempts. Wait one second, then try again.
   *[other] Too many attempts. Wait { $seconds } seconds, then try again.
}

step-up-title = Confirm that it is you
step-up-intro = What you are about to do changes other people's access or the whole appliance. Enter your password again; it counts for ten minutes.
step-up-go = Continue
step-up-wrong = This is not your password. Try again.

password-title = Choose a password
password-intro = Use at least { $chars } characters. Several words that only you would put together are easy to remember and hard to guess.
password-must = This password was chosen by somebody else. Choose your own before you go on.
password-current = Password now
password-new = New password
password-repeat = New password again
password-go = Save the password
password-wrong = This is not your password now.
password-differs = The two new passwords differ. Enter the same one twice.

problem-title = That did not work
problem-home = To the first page
problem-code = Error { $status }, { $code }
problem-sign-in-needed = Sign in first.
problem-forbidden = Your account may not open this. If you need it, ask your school's administrator.
problem-not-found = There is nothing at this address. Check it, or go to the first page.
problem-method-not-allowed = This address cannot be used in that way. Go back and use the page's own buttons.
problem-step-up-needed = Confirm your password first.
problem-password-change-needed = Choose your own password first.
problem-foreign-request = This form is out of date or came from another site. Go back, reload the page and try again.
problem-malformed = What was sent could not be read. Go back, check your entries and try again.
problem-too-large = What was sent is too large. Send less at a time.
problem-timed-out = This took too long. Try again in a moment.
problem-busy = Too much is going on right now. Try again in a moment.
problem-unavailable = This cannot be done while the audit log cannot be written. Check that the disk is not full, then try again.
problem-internal = Something went wrong inside the appliance. Try again; if it happens again, look into the appliance's log.

home-lessons = Lessons now
home-in-lessons = { $count ->
    [0] Nobody is in a lesson
    [one] One participant
   *[other] { $count } participants
}
home-people-parts = Teachers { $teachers }, students { $students }, administrators { $admins }
home-classes-sub = Each with its own roster and timetable
home-next = Left to set up
home-todo-trust = Let devices trust this appliance
home-todo-trust-text = Install the certificate on the school's devices, so that lessons open without a warning.
home-todo-people = Add teachers and students
home-todo-people-text = There is nobody here yet who could teach or learn.
home-todo-classes = Make the first class
home-todo-classes-text = Teachers start lessons from their classes.

pager-label = Pages of this list
pager-previous = Previous
pager-next = Next
pager-range = { $from } to { $to } of { $total }
pager-record = Entries { $from } to { $to }

people-add = Add a person
people-import = Take over a list
import-title = Take over a list of people
import-intro = A CSV file with the columns name and username, and if you like role (student or teacher), class and band (k5 or 6-12).
    Several classes stand in one entry with | between them; classes that are new are made. At most { $lines } lines. You see first what the file would do.
import-file = CSV file
import-check = Check the file
import-preview-title = What the file would do
import-summary = Lines: { $lines }. New accounts: { $people }. Known accounts, which are not changed: { $known }. New classes: { $classes }. Places in classes: { $enrolments }.
import-line = Line { $line }: { $text }
import-errors = To put right in the file
import-again = Choose the file again
import-classes = New classes
import-people = New accounts
import-more = And { $count } more.
import-go = Take it over
import-go-help = Everything is made at once, or nothing. The first passwords are shown on the next page, only there.
import-done-title = The list was taken over
import-done-intro = Print this page now: these first passwords are shown only here. Each must be changed at the first sign-in.
import-done-none = Nobody needed a new account. The places in classes were taken over.
people-search = Name or user name
people-search-go = Search
people-none = There are no accounts yet. Add the first one.
people-none-found = Nobody found. Try fewer letters.
person-name = Name
person-name-help = As it is shown in lessons.
person-username = User name
person-username-help = For signing in. Letters, digits and the marks . _ - @ +
person-role = Role
person-role-help = Administrators run the appliance, teachers hold lessons, students take part.
person-state = Account
person-active = Active
person-disabled = Switched off
person-must-change = Has a starting password
person-new-title = Add a person
person-new-intro = The first password is made here and shown once. It must be changed at the first sign-in.
person-new-go = Add and show the password
person-details = Details
person-save = Save
person-access = Access
person-reset = New password
person-reset-help = Makes a new password, shows it to you once, and signs the person out everywhere.
person-disable = Switch off
person-disable-help = The person is signed out everywhere and cannot sign in. Nothing is deleted.
person-enable = Switch on
person-enable-help = The person can sign in again with the password of before.

secret-title = New password
secret-intro = Give this to the person, on paper or in person rather than by e-mail.
secret-password = Password
secret-once = It is shown only now and is not kept in readable form. It must be changed at the first sign-in.
secret-done = I have noted it

classes-add = Add a class
classes-none = There are no classes yet. Add the first one.
class-name = Name of the class
class-name-help = As teachers and students know it, for example “Mathematics 7b”.
class-band = Age group
class-band-help = For younger students lessons start in focus mode: they see the teacher only.
class-band-k5 = Up to grade 5
class-band-6-12 = Grades 6 to 12
class-teachers = Teachers
class-students = Students
class-new-title = Add a class
class-new-go = Add the class
class-details = Details
class-save = Save
class-teachers-none = No teacher yet. Without one nobody can start a lesson.
class-students-none = No students yet.
class-add-teachers = Add teachers
class-add-students = Add students
class-add-help = User names, one on each line.
class-remove = Remove
class-timetable = Timetable
class-timetable-none = No times yet. Lessons can be started at any time all the same.
class-slot = { $day }, { $start } to { $end }
class-slot-day = Every
class-slot-once = Once, on a date
class-slot-date = Date, if once
class-slot-start = From
class-slot-end = To
class-slot-add = Add the time
class-slot-save = Save the time
class-archived = Archived
class-ending = When the class is over
class-archive = Archive
class-archive-help = No more lessons, and gone from everybody's day. Its people and times are kept, and it can be restored.
class-archive-title = Archive { $name }?
class-archive-intro = Its teachers and students will not see the class any more. You can restore it at any time.
class-restore = Restore
class-restore-help = The class is archived: nobody sees it, and no lesson can be started. Restoring it gives it back to its people.
class-delete = Delete
class-delete-help = Deletes the class with its roster and its timetable. The audit log keeps what was done.
class-delete-title = Delete { $name }?
class-delete-intro = The class, its roster and its timetable are deleted for good. The accounts of its people and the audit log stay.
day-monday = Monday
day-tuesday = Tuesday
day-wednesday = Wednesday
day-thursday = Thursday
day-friday = Friday
day-saturday = Saturday
day-sunday = Sunday

settings-intro = Every setting says what it does. Changes are written to the audit log.
settings-save = Save
settings-at-start = Takes effect when the appliance starts again.


cert-this = This appliance's certificate
cert-names = Names and addresses
cert-fingerprint = SHA-256 fingerprint of the certificate authority
cert-compare = Compare the fingerprint with the one on the appliance's console before you install the certificate anywhere.
cert-download-cer = Download root.cer
cert-download-pem = Download root.pem
cert-valid-until = Valid until { $date }
cert-ends-soon = Ends soon: { $date }
cert-trust = Let devices trust it
cert-trust-why = The authority is limited to this appliance's own names and addresses: a device that trusts it does not trust it for any other site.
cert-guide-google = Chromebooks (Google Admin console)
cert-guide-google-text = Devices, Networks, Certificates, Add certificate. Upload root.pem, tick “Chromebook” as an HTTPS certificate authority, choose the organisational unit and save.
    Devices take it at their next policy refresh.
cert-guide-apple = iPad, iPhone and Mac (MDM)
cert-guide-apple-text = Add root.cer as a certificate payload to a profile and assign it. A certificate that an MDM installs is trusted by itself.
    A profile installed by hand must also be switched on under Settings, General, About, Certificate Trust Settings.
cert-guide-windows = Windows (Group Policy or Intune)
cert-guide-windows-text = Group Policy: Computer Configuration, Windows Settings, Security Settings, Public Key Policies, Trusted Root Certification Authorities, Import root.cer.
    Intune: a trusted certificate profile with root.cer, for the computer's root store.
cert-guide-firefox = Firefox
cert-guide-firefox-text = Set the policy Certificates, ImportEnterpriseRoots to true, or list root.pem under Certificates, Install in policies.json.

date = { $day } { $month ->
    [1] January
    [2] February
    [3] March
    [4] April
    [5] May
    [6] June
    [7] July
    [8] August
    [9] September
    [10] October
    [11] November
   *[12] December
} { $year }

# Erasing a person

erase-link = Erase
erase-help = Takes all that is kept about this person off the appliance, for good.
erase-title = Erase { $name }?
erase-intro = This cannot be undone by anybody. Ask whoever looks after the records first: a law, a hold or an open request may forbid it.
erase-goes = What goes
erase-goes-account = The account: name, user name, password and sessions.
erase-goes-classes = Places in classes, and how the person was connected to lessons.
erase-goes-chat = All chat messages that the person wrote.
erase-goes-record = Names that stand beside entries of the audit log.
erase-goes-copies = Copies of the database that were made before updates. They hold everybody; a release from before the last update cannot be gone back to without a backup of yours.
erase-stays = What stays
erase-stays-record = The entries of the audit log, under the number { $id } and without a name. The log stays provable.
erase-stays-written = What others wrote, even where it mentions the name: messages of others, names of classes and lessons.
erase-stays-elsewhere = What has left the appliance: backups, printed pages, evidence that was taken away. Erase it there as well.
erase-first = Step 1 of 2: the reason
erase-second = Step 2 of 2: make sure
erase-reason = Reason
erase-reason-help = Goes into the audit log. It is a choice and not a text, so that no name gets into the log.
erase-reason-none = Choose a reason
erase-reason-missing = Choose why the person is erased.
erase-reason-asked = The person or a parent asked for it
erase-reason-no-longer-needed = What is kept is not needed any more
erase-reason-mistake = The account was made by mistake
erase-reason-ordered = A court or an authority ordered it
erase-next = Go on
erase-type = Type the user name { $username }
erase-type-wrong = This is not the user name of the person to be erased.
erase-go = Erase for good
erase-in-lesson = A lesson that goes on holds something of this person: who is in it, was in it or began it. End that lesson, then erase.
