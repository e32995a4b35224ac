-- People by what their names begin with, most followed first; only if that does not fill a page, by likeness.
create index users_by_name on users (username text_pattern_ops)
    where state = 'active' and not teen and not shadow_banned and banned_at is null;
create index users_by_display_name on users (lower(display_name) text_pattern_ops)
    where state = 'active' and not teen and not shadow_banned and banned_at is null;

-- Levels: 2 is called so, 1 a name begins so (of at most 5000), 0 is like it (of at most 2000). Ranges instead of LIKE:
-- they use the index whatever the plan knows of the parameter.
create function search_people(asked text, before_level int, before_weight int, before_id bigint, wanted int)
returns table (level int, weight int, user_id bigint) language plpgsql stable parallel safe
set pg_trgm.word_similarity_threshold = 0.45 as $$
declare
    beyond constant text := asked || chr(1114111);
    found int;
begin
    if before_level >= 1 then
        return query select q.level, q.weight, q.id from (
            select case when p.username = asked then 2 else 1 end as level,
                least(p.followers, 2147483646)::int as weight, p.id
            from (
                (select u.id, u.username, u.followers from users u
                 where u.state = 'active' and not u.teen and not u.shadow_banned and u.banned_at is null
                     and u.username = asked limit 1)
                union (select u.id, u.username, u.followers from users u
                 where u.state = 'active' and not u.teen and not u.shadow_banned and u.banned_at is null
                     and u.username ~>=~ asked and u.username ~<~ beyond limit 5000)
                union (select u.id, u.username, u.followers from users u
                 where u.state = 'active' and not u.teen and not u.shadow_banned and u.banned_at is null
                     and lower(u.display_name) ~>=~ asked and lower(u.display_name) ~<~ beyond limit 5000)
            ) p) q
            where (q.level, q.weight, q.id) < (before_level, before_weight, before_id)
            order by q.level desc, q.weight desc, q.id desc limit wanted;
        get diagnostics found = row_count;
        wanted := wanted - found;
        if wanted <= 0 then
            return;
        end if;
    end if;
    return query select q.level, q.weight, q.id from (
        select 0 as level, (1000 * word_similarity(asked, lower(u.username || ' ' || u.display_name)))::int as weight, u.id
        from users u where u.state = 'active' and not u.teen and not u.shadow_banned and u.banned_at is null
            and asked <% lower(u.username || ' ' || u.display_name)
            and not (u.username ~>=~ asked and u.username ~<~ beyond)
            and not (lower(u.display_name) ~>=~ asked and lower(u.display_name) ~<~ beyond) limit 2000) q
        where (q.level, q.weight, q.id) < (before_level, before_weight, before_id)
        order by q.weight desc, q.id desc limit wanted;
end $$;
