-- Enter several shards without waiting for any: gives those that could not be entered, because they are being moved
-- or have moved. Two statements on purpose: the fence is read with a snapshot taken after the lock is held.
create function shard_try_enter(in_family text, in_shards smallint[]) returns smallint[] language plpgsql as $$
declare
    entered smallint[];
    fenced smallint[];
begin
    select coalesce(array_agg(s), '{}') into entered from unnest(in_shards) s
        where pg_try_advisory_xact_lock_shared(case in_family when 'video' then 7701 else 7702 end, s);
    select coalesce(array_agg(f.shard), '{}') into fenced from shard_fences f
        where f.family = in_family and f.shard = any(entered);
    return array(select s from unnest(in_shards) s where s <> all(entered) or s = any(fenced));
end $$;
