"""Uploads: the seed's init/parts/complete, tus 1.0 and presigned S3 parts, all onto one S3 multipart upload each.

1. init checks limits and the daily quota, makes the video row (`created`) and an S3 multipart upload
2. bytes arrive by PUT ?part=N, by tus PATCH, or straight at the object store
3. complete joins the parts, looks at the first bytes, then commits metadata, outbox record and job in one transaction
4. an upload that is not completed in time is collected: parts, row and multipart upload
"""
