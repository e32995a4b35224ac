-- A PoP asks who has blocked a viewer: the other direction of restrictions, kept by the one who blocks.
create index restrictions_target on restrictions (target_id) where kind = 'block';
