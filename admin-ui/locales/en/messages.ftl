# What the pages say after something was done, and what is wrong with an entry.

done-person-added = The account was added.
done-person-saved = Saved.
done-person-disabled = The account is switched off and signed out everywhere.
done-person-enabled = The account is switched on.
done-class-added = The class was added. Now add its teacher and students.
done-class-saved = Saved.
done-roster-added = Added to the class.
done-roster-removed = Removed from the class.
done-slot-added = The time was added.
done-slot-removed = The time was removed.
done-settings-saved = The settings were saved.
done-password-changed = Your password was changed. Other devices have been signed out.

error-name-empty = Enter a name.
error-name-long = The name is too long. Use at most { $max } characters.
error-username-empty = Enter a user name.
error-username-form = Use only letters, digits, dots, hyphens and underscores, and at most { $max } of them.
error-username-taken = This user name is taken. Choose another one.
error-role = Choose a role from the list.
error-last-admin = This is the last administrator who can sign in. Make somebody else an administrator first.
error-own-account = You cannot do this to your own account. Ask another administrator.
error-class-taken = There is a class of that name. Choose another name.
error-band = Choose an age group from the list.
error-roster-empty = Enter at least one user name.
error-roster-unknown = There is no account named { $names }. Check the spelling; nobody was added.
error-roster-role = { $names } cannot be added here, because of another role. Nobody was added.
error-slot-day = Choose a day from the list.
error-slot-time = Enter a time such as 09:45.
error-slot-order = The end must be after the start.
error-slot-taken = The class meets at that time already.
error-password-short = The password is too short. Use at least { $min } characters.
error-password-long = The password is too long. Use at most { $max } characters.
error-password-like-name = The password is too much like your name. Choose something else.
error-password-same = This is the password of before. Choose a new one.
error-form = Some entries need your attention. Nothing has been saved yet.
