/** Discover and search: trending hashtags before a word is typed, suggestions while typing, videos and people after. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Flame, Hash, History, Search, SearchX, X } from "lucide-preact";
import { api } from "../api/calls";
import type { User } from "../api/types";
import { FeedList } from "../feed/feed_list";
import { t, tn } from "../i18n/i18n";
import { Avatar } from "../parts/avatar";
import { Note, Spinner } from "../parts/states";
import { VideoGrid } from "../parts/video_grid";
import { links, type Match, navigate } from "../routing/router";
import { readJson, writeJson } from "../session/storage";

const RECENT_KEY = "popreel.searches";
const RECENT_MOST = 8;
const SUGGEST_AFTER_MS = 150;
const isWords = (value: unknown): value is string[] => Array.isArray(value) && value.every((word) => typeof word === "string");

export function SearchScreen({ match }: { match: Match }) {
  const q = (match.query.get("q") ?? "").trim();
  return (
    <section class="page search">
      <SearchBox key={q} q={q} autofocus={match.name === "search" && q === ""} />
      {q ? <Results key={q} q={q} /> : <Discover />}
    </section>
  );
}

function SearchBox({ q, autofocus }: { q: string; autofocus: boolean }) {
  const [text, setText] = useState(q);
  const [hints, setHints] = useState<string[]>([]);
  const [focused, setFocused] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const recent = readJson(RECENT_KEY, isWords, []);
  useEffect(() => {
    if (autofocus) input.current?.focus({ preventScroll: true });
  }, [autofocus]);
  useEffect(() => {
    const word = text.trim();
    if (!focused || word.length < 2) return setHints([]);
    const abort = new AbortController();
    const timer = setTimeout(() => {
      api.suggest(word, abort.signal).then(({ suggestions }) => setHints(suggestions.slice(0, 8)), () => setHints([]));
    }, SUGGEST_AFTER_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, focused]);
  const go = (word: string): void => {
    const wanted = word.trim();
    if (!wanted) return;
    writeJson(RECENT_KEY, [wanted, ...recent.filter((known) => known !== wanted)].slice(0, RECENT_MOST));
    setFocused(false);
    input.current?.blur();
    navigate(links.search(wanted));
  };
  const shown = text.trim().length >= 2 ? hints : recent;
  return (
    <form
      class="search-box"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        go(text);
      }}
      onFocusIn={() => setFocused(true)}
      onFocusOut={(event) => !event.currentTarget.contains(event.relatedTarget as Node | null) && setFocused(false)}
    >
      <div class="search-field">
        <Search size={20} aria-hidden="true" />
        <input
          ref={input}
          type="search"
          name="q"
          enterkeyhint="search"
          autocomplete="off"
          aria-label={t("searchHint")}
          placeholder={t("searchHint")}
          value={text}
          dir="auto"
          maxLength={100}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        {text && (
          <button type="button" class="icon-button small" aria-label={t("clear")} onClick={() => (setText(""), input.current?.focus())}>
            <X size={18} aria-hidden="true" />
          </button>
        )}
      </div>
      {focused && shown.length > 0 && (
        <ul class="suggestions">
          {shown.map((word) => (
            <li key={word}>
              <button type="button" onClick={() => go(word)}>
                {text.trim().length >= 2 ? <Search size={18} aria-hidden="true" /> : <History size={18} aria-hidden="true" />}
                <span dir="auto">{word}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </form>
  );
}

function Discover() {
  const [tags, setTags] = useState<{ tag: string; videoCount?: number }[] | null>(null);
  const popular = useMemo(() => new FeedList((cursor) => api.feed(18, cursor), "fyp", false), []);
  useEffect(() => {
    api.trendingHashtags().then((reply) => setTags(reply.hashtags), () => setTags([]));
    void popular.more();
  }, [popular]);
  return (
    <>
      {tags !== null && tags.length > 0 && (
        <>
          <h1 class="section-title">
            <Flame size={22} aria-hidden="true" class="flame" /> {t("trending")}
          </h1>
          <ul class="trending">
            {tags.map(({ tag, videoCount }) => (
              <li key={tag}>
                <a href={links.hashtag(tag)}>
                  <span class="trending-icon">
                    <Hash size={20} aria-hidden="true" />
                  </span>
                  <span>
                    <strong dir="auto">{tag}</strong>
                    {videoCount !== undefined && <small>{tn("videosCount", videoCount)}</small>}
                  </span>
                </a>
              </li>
            ))}
          </ul>
        </>
      )}
      <h2 class="section-title">{t("forYou")}</h2>
      <VideoGrid list={popular} />
    </>
  );
}

function Results({ q }: { q: string }) {
  const [tab, setTab] = useState<"videos" | "people">("videos");
  return (
    <>
      <h1 class="visually-hidden">{q}</h1>
      <div class="tabs" role="tablist">
        {(["videos", "people"] as const).map((name) => (
          <button key={name} type="button" role="tab" aria-selected={tab === name} onClick={() => setTab(name)}>
            {t(name)}
          </button>
        ))}
      </div>
      {tab === "videos" ? <VideoResults q={q} /> : <PeopleResults q={q} />}
    </>
  );
}

function Nothing({ q }: { q: string }) {
  return <Note inside icon={SearchX} title={t("noResults", { q })} hint={t("noResultsHint")} />;
}

function VideoResults({ q }: { q: string }) {
  const list = useMemo(() => new FeedList((cursor) => api.search(q, "videos", cursor), "search", false), [q]);
  useEffect(() => void list.more(), [list]);
  if (list.exhausted.value && list.items.value.length === 0) return <Nothing q={q} />;
  return <VideoGrid list={list} />;
}

function PeopleResults({ q }: { q: string }) {
  const [people, setPeople] = useState<User[] | null>(null);
  useEffect(() => {
    api.search(q, "users", null).then(({ users }) => setPeople(users), () => setPeople([]));
  }, [q]);
  if (people === null) return <Spinner />;
  if (people.length === 0) return <Nothing q={q} />;
  return (
    <ul class="people">
      {people.map((user) => (
        <li key={user.id}>
          <a href={links.profile(user.username)}>
            <Avatar user={user} size={52} />
            <span>
              <strong dir="auto">{user.displayName || user.username}</strong>
              <small>
                @{user.username} · {tn("followers", user.followerCount ?? 0)}
              </small>
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}
