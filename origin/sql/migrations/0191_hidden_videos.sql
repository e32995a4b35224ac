-- What a shadow-banned person still finds: their own videos, which are in no other index. Empty for nearly everybody,
-- so that every search of somebody signed in may look here.
create index videos_hidden on videos (owner_id, id desc)
    where shadow_banned and state = 'ready' and visibility = 'public';
