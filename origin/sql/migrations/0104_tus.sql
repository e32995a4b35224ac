-- Upload-Metadata as the client sent it: HEAD gives it back, and `complete` in it completes the upload.
alter table uploads add column metadata text not null default '';
