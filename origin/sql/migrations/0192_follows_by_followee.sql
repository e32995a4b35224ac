-- Erasing an account finds everybody who follows it or has asked to, on whatever server they are.
create index follows_by_followee on follows (followee_id);
