-- Trending hashtags count the new videos of some hours: without this every request read every hashtag of every video.
create index video_hashtags_recent on video_hashtags (published_at) include (tag);
