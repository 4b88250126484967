-- When the class was put away; absent: it is held.
ALTER TABLE class ADD COLUMN archived_at INTEGER;
