# The audit log in plain words. Whoever acted stands before each sentence.

record-intro = Who did what on this appliance, newest first. Reading this page is itself recorded. Times are UTC.
record-none = The log is empty.
record-none-found = No entry of the log fits this. Choose a longer time or another kind.
record-seq = Number
record-at = Time
record-actor = Who
record-event = What
record-refused = Refused
record-actor-appliance = Appliance
record-actor-nobody = Not signed in
record-actor-guest = A guest
record-actor-console = Console
record-filter = Search the log
record-kind = Kind
record-kind-all = Everything
record-kind-auth = Signing in and out
record-kind-person = Accounts
record-kind-class = Classes and timetables
record-kind-lesson = Lessons
record-kind-data = What was shown of people
record-kind-setting = Settings and schools
record-kind-security = Keys and certificates
record-kind-appliance = The appliance and this log
record-since = From
record-until = Until and with
record-only-refused = Only what was refused
record-go = Search
record-clear = Show everything
record-about = Only what is about { $name }
record-of-person = What the log says about this person
record-of-class = What the log says about this class
record-date-wrong = Enter a day as year, month and day, like 2026-11-22.
record-somebody = somebody unknown
record-no-class = no class
record-a-guest = a guest
record-person-gone = person { $id }
record-person-erased = erased person { $id }
record-class-gone = class { $id }
record-beside-name = Then known as { $name }, user name { $username }.
record-beside-typed = What was typed: { $username }.
record-beside-erased = The names that stood here were erased.
record-hidden = (hidden)
record-nothing = nothing
record-lesson = lesson { $id }

did-auth-signed-in = signed in
did-auth-sign-in-refused = could not sign in as { $person }: { $because ->
    [unknown_name] there is no such user name
    [disabled] the account is disabled
   *[other] wrong password
}
did-auth-sign-in-throttled = was made to wait before signing in as { $person }, after too many attempts { $by ->
    [address] from one address
   *[other] on one account
}
did-auth-signed-out = signed out
did-auth-stepped-up = proved the password again
did-auth-step-up-refused = gave a wrong password where it is asked again
did-auth-sessions-ended = ended all { $count } sessions of { $person }
did-auth-guest-signed-in = came to lesson { $lesson } by its guest link
did-auth-access-refused = tried to open { $route }, which is not for them

did-person-created = made an account for { $person } ({ $role })
did-person-changed = changed the name of { $person }
did-person-role-changed = made { $person } a { $to } instead of a { $from }
did-person-disabled = disabled the account of { $person }
did-person-enabled = enabled the account of { $person }
did-person-password-reset = set a new password for { $person }
did-person-password-changed = chose a new password
did-person-erased = erased { $person }: { $because ->
    [asked] the person or a parent asked for it
    [no_longer_needed] what was kept was not needed any more
    [mistake] the account was made by mistake
   *[other] a court or an authority ordered it
}
did-person-imported = imported a list: { $people } people, { $classes } classes, { $enrolments } enrolments

did-class-created = made the class { $class }
did-class-changed = changed the class { $class }
did-class-archived = put away the class { $class }
did-class-restored = took back the class { $class }
did-class-deleted = deleted the class { $class }
did-class-enrolment-added = added { $person } to { $class } as a { $role }
did-class-enrolment-removed = took { $person } out of { $class }
did-class-timetable-changed = changed the timetable of { $class }

did-setting-changed = changed the setting { $setting } from { $from } to { $to }
did-school-created = made the school { $school }
did-school-changed = changed the school { $school }

did-lesson-started = started lesson { $lesson } ({ $class })
did-lesson-ended = ended lesson { $lesson }{ $because ->
    [no_teacher] , as no teacher was there
    [appliance_stopped] , as the appliance was stopped
   *[other] { "" }
}
did-lesson-guest-link-created = made a guest link to lesson { $lesson }
did-lesson-participant-waiting = waited to be let into lesson { $lesson }
did-lesson-participant-joined = joined lesson { $lesson }
did-lesson-participant-left = left lesson { $lesson }
did-lesson-participant-admitted = let { $participant } into lesson { $lesson }
did-lesson-participant-refused = did not let { $participant } into lesson { $lesson }
did-lesson-participant-removed = removed { $participant } from lesson { $lesson }{ $blocked ->
    [true] , for good
   *[other] { "" }
}
did-lesson-participant-unblocked = allowed { $participant } to come back to lesson { $lesson }
did-lesson-co-teacher-given = made { $participant } a co-teacher of lesson { $lesson }
did-lesson-co-teacher-ended = ended that { $participant } is a co-teacher of lesson { $lesson }
did-lesson-lock-changed = { $on ->
    [true] locked
   *[other] unlocked
} { $lock ->
    [microphones] the microphones
    [cameras] the cameras
   *[other] screen sharing
} in lesson { $lesson }
did-lesson-chat-mode-changed = set the chat of lesson { $lesson } to { $mode ->
    [on] everybody
    [off] off
   *[other] teachers only
}
did-lesson-muted-by-teacher = switched off the { $source ->
    [microphone] microphone
    [camera] camera
   *[other] shared screen
} of { $participant } in lesson { $lesson }
did-lesson-all-muted-by-teacher = muted everybody in lesson { $lesson }
did-lesson-asked-to-unmute = asked { $participant } to unmute in lesson { $lesson }
did-lesson-chat-message-deleted = deleted message { $message } from the chat of lesson { $lesson }
did-lesson-layout-changed = changed what students see in lesson { $lesson }
did-lesson-token-minted = got a media token for lesson { $lesson }
did-lesson-rule-refused = tried to get round a rule of lesson { $lesson } ({ $rule })

did-connections-read = looked at how { $person ->
    [none] { $count } connections were
   *[other] the connection of { $person } was
}
did-data-disclosing = asked to see { $holding ->
    [people] accounts
    [rosters] a class and its members
    [record] this log
   *[other] how people were connected
}{ $object ->
    [none] { "" }
   *[other] : { $object }
}
did-data-disclosed = was shown { $bytes } bytes for entry { $intent }{ $whole ->
    [true] { "" }
   *[other] , and broke it off
}

did-key-created = made the key { $key } ({ $id })
did-key-rotated = replaced the key { $key } ({ $id })
did-certificate-authority-created = made the certificate authority { $fingerprint }
did-certificate-issued = issued the certificate { $fingerprint }

did-appliance-started = started, release { $version }
did-appliance-stopped = stopped
did-appliance-worker-ended = saw the process { $worker } end by itself, and started it anew
did-record-read = looked at { $count } entries of this log, from { $from_seq } on
did-record-gap = could not record { $count } events
did-record-forked = began epoch { $epoch } of this log, in which at least { $lost_at_least } published entries are missing: { $first_person } and { $second_person } decided so
did-record-openings-erased = erased the personal data beside { $count } entries, from { $first } to { $last }

record-evidence = State of the log, and evidence
did-evidence-exporting = took evidence away: the log from entry { $first } to { $size }, level { $level }
did-record-verified = checked this whole log ({ $entries } entries): { $sound ->
    [true] it is sound
   *[other] it is not sound
}

evidence-title = Evidence
evidence-intro = Whether the log is what it was, and a bundle that proves what is in it to somebody who has none of our software.
evidence-state = State of the log
evidence-entries = Entries
evidence-published = Entries under the last signed checkpoint
evidence-fingerprint = Fingerprint of the key that signs evidence
evidence-fingerprint-help = Print this page and keep it in the records room. An auditor compares the fingerprint before trusting a bundle.
evidence-today = Date of this page
evidence-verify = Check the whole log
evidence-verify-help = Computes every entry anew and holds it against the signed checkpoints.
evidence-sound = The log is sound: { $entries } entries, { $checkpoints } signed checkpoints.
evidence-unsound = The log is not what it was: { $what }. Keep the appliance as it is and call whoever looks after the records.
evidence-unreadable = The log could not be checked: { $why }. Try again in a moment.
evidence-take = Evidence to take away
evidence-take-help = A ZIP file with the log, its proofs, accounts, settings and a report. That you took it is recorded. Its page README.html says how to check it with stock programs.
evidence-level = What is shown of people
evidence-level-auditor = Pseudonyms (for an auditor)
evidence-level-full = Everything (for the custodian or a court)
evidence-level-public = Nobody (for an insurer or the public)
evidence-nonce = The auditor's nonce
evidence-nonce-help = Hexadecimal digits that the auditor chose. They pick the samples, so that nobody here could.
evidence-nonce-wrong = Enter an even number of hexadecimal digits (0 to 9, a to f), at most 128.
evidence-count = Samples of each population
evidence-count-wrong = Enter a number from 1 to { $max }.
evidence-export = Take evidence
evidence-gap-registers = The disclosure register of 34 CFR 99.32 and the cases of student rights are not part of this release.
evidence-gap-witnesses = No witness outside the appliance has countersigned these checkpoints.
