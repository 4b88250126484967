# Names and explanations of settings and of their groups.
