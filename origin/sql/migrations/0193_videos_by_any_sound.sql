-- A sound that goes takes its maker's name from every video made with it, whatever their state (origin/sounds/forgetting.py).
create index videos_naming_sound on videos (sound_id, id) where sound_artist <> '';
