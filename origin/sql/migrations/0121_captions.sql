-- Captions of a video: [{"lang": "en", "file": "en-0123456789abcdef.vtt"}]; few and always read with the row.
alter table videos add column captions jsonb not null default '[]';
