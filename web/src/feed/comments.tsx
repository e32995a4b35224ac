/** Comments of a clip, pinned and newest first; replies open under their comment. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Heart, MessageCircle, Pin, SendHorizontal, Trash2, X } from "lucide-preact";
import { api } from "../api/calls";
import type { Comment, CommentPage, FeedItem } from "../api/types";
import { ago, count, t, tn } from "../i18n/i18n";
import { Avatar } from "../parts/avatar";
import { Sheet } from "../parts/sheet";
import { Note, Spinner } from "../parts/states";
import { links } from "../routing/router";
import { withAccount } from "../session/gate";
import { me } from "../session/session";
import type { Deck } from "./deck";
import { tell } from "./engagement";
import type { FeedList } from "./feed_list";

type Props = { item: FeedItem; list: FeedList; deck: Deck; onClose: () => void };
const LONGEST = 500;

/** Comments by thread: what came from the API, and what this viewer did since. */
type Thread = { root: Comment; replies: Comment[]; open: boolean; cursor: string | null };

const threadOf = (root: Comment): Thread => ({ root, replies: [], open: false, cursor: null });

export function Comments({ item, list, deck, onClose }: Props) {
  const [threads, setThreads] = useState<Thread[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [replyTo, setReplyTo] = useState<Comment | null>(null);
  const change = (id: string, how: (thread: Thread) => Thread): void =>
    setThreads((known) => (known ?? []).map((thread) => (thread.root.id === id ? how(thread) : thread)));

  const load = async (from: string | null): Promise<void> => {
    try {
      const page = await api.comments(item.id, from);
      setThreads((known) => [...(from ? (known ?? []) : []), ...page.comments.map(threadOf)]);
      setCursor(page.nextCursor ?? null);
    } catch (error) {
      setThreads((known) => known ?? []);
      tell(error);
    }
  };
  useEffect(() => void load(null), [item.id]);

  const openReplies = (thread: Thread): void => {
    const add = (page: CommentPage) => (known: Thread): Thread => ({
      ...known,
      open: true,
      cursor: page.nextCursor ?? null,
      replies: withoutDoubles([...known.replies, ...page.comments]),
    });
    api.replies(item.id, thread.root.id, thread.cursor).then((page) => change(thread.root.id, add(page)), tell);
  };
  const send = async (text: string): Promise<void> => {
    const parent = replyTo ? (replyTo.parentId ?? replyTo.id) : null;
    const posted = await api.comment(item.id, text, parent);
    if (parent)
      change(parent, (thread) => ({
        ...thread,
        open: true,
        replies: [...thread.replies, posted],
        root: { ...thread.root, replyCount: thread.root.replyCount + 1 },
      }));
    else setThreads((known) => [threadOf(posted), ...(known ?? [])]);
    setReplyTo(null);
    list.patch(item.id, { commentCount: item.commentCount + 1 });
    deck.act({ commented: true });
  };
  const remove = (comment: Comment): void => {
    api.deleteComment(item.id, comment.id).then(() => {
      setThreads((known) =>
        (known ?? [])
          .filter(({ root }) => root.id !== comment.id)
          .map((thread) => ({ ...thread, replies: thread.replies.filter(({ id }) => id !== comment.id) })),
      );
      list.patch(item.id, { commentCount: Math.max(0, item.commentCount - 1) });
    }, tell);
  };

  const line = (comment: Comment) => <CommentLine video={item} comment={comment} onReply={setReplyTo} onRemove={remove} />;
  const footer = <Composer replyTo={replyTo} onCancelReply={() => setReplyTo(null)} onSend={send} />;
  return (
    <Sheet side title={tn("commentCount", item.commentCount)} onClose={onClose} footer={footer}>
      {threads === null && <Spinner />}
      {threads?.length === 0 && <Note inside icon={MessageCircle} title={t("noComments")} hint={t("noCommentsHint")} />}
      <ul class="comments">
        {(threads ?? []).map((thread) => (
          <li key={thread.root.id}>
            {line(thread.root)}
            {thread.replies.length > 0 && (
              <ul class="replies">
                {thread.replies.map((reply) => (
                  <li key={reply.id}>{line(reply)}</li>
                ))}
              </ul>
            )}
            {unread(thread) > 0 && (
              <button type="button" class="text-button replies-more" onClick={() => openReplies(thread)}>
                {tn("showReplies", unread(thread))}
              </button>
            )}
          </li>
        ))}
      </ul>
      {cursor && (
        <button type="button" class="text-button wide" onClick={() => void load(cursor)}>
          {t("more")}
        </button>
      )}
    </Sheet>
  );
}

function unread({ root, replies, open, cursor }: Thread): number {
  return open && !cursor ? 0 : Math.max(0, root.replyCount - replies.length);
}

function withoutDoubles(comments: Comment[]): Comment[] {
  return [...new Map(comments.map((comment) => [comment.id, comment])).values()];
}

type LineProps = { video: FeedItem; comment: Comment; onReply: (comment: Comment) => void; onRemove: (comment: Comment) => void };

function CommentLine({ video, comment, onReply, onRemove }: LineProps) {
  const { user } = comment;
  const removable = me.value !== null && (me.value.id === user.id || me.value.id === video.user.id);
  return (
    <div class="comment">
      <a href={links.profile(user.username)} tabIndex={-1} aria-hidden="true">
        <Avatar user={user} size={36} />
      </a>
      <div class="comment-body">
        <p class="comment-who">
          <a href={links.profile(user.username)}>{user.displayName || user.username}</a>
          {comment.pinned && <Pin size={13} aria-label="pinned" />}
          <time>{ago(comment.createdAtMs)}</time>
        </p>
        <p class="comment-text" dir="auto">
          {comment.text}
        </p>
        <button type="button" class="text-button" onClick={() => onReply(comment)}>
          {t("reply")}
        </button>
        {removable && (
          <button type="button" class="icon-button small" aria-label={t("deleteComment")} onClick={() => onRemove(comment)}>
            <Trash2 size={14} aria-hidden="true" />
          </button>
        )}
      </div>
      <CommentLike videoId={video.id} comment={comment} />
    </div>
  );
}

function CommentLike({ videoId, comment }: { videoId: string; comment: Comment }) {
  const [liked, setLiked] = useState(comment.liked ?? false);
  const shift = liked === (comment.liked ?? false) ? 0 : liked ? 1 : -1;
  const toggle = (): void =>
    withAccount(() => {
      setLiked(!liked);
      api.likeComment(videoId, comment.id, !liked).catch((error: unknown) => {
        setLiked(liked);
        tell(error);
      });
    });
  return (
    <button type="button" class={`comment-like ${liked ? "is-on" : ""}`} aria-pressed={liked} aria-label={t("likeComment")} onClick={toggle}>
      <Heart size={16} fill={liked ? "currentColor" : "none"} aria-hidden="true" />
      <span>{count(Math.max(0, comment.likeCount + shift))}</span>
    </button>
  );
}

type ComposerProps = { replyTo: Comment | null; onCancelReply: () => void; onSend: (text: string) => Promise<void> };

function Composer({ replyTo, onCancelReply, onSend }: ComposerProps) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (replyTo) input.current?.focus();
  }, [replyTo]);

  const submit = (event: Event): void => {
    event.preventDefault();
    const words = text.trim();
    if (!words || busy) return;
    withAccount(() => {
      setBusy(true);
      onSend(words)
        .then(() => setText(""), tell)
        .finally(() => setBusy(false));
    });
  };
  return (
    <form class="composer" onSubmit={submit}>
      {replyTo && (
        <p class="composer-reply">
          {t("replyTo", { name: replyTo.user.displayName })}
          <button type="button" class="icon-button small" aria-label={t("cancel")} onClick={onCancelReply}>
            <X size={16} aria-hidden="true" />
          </button>
        </p>
      )}
      <div class="composer-row">
        <input
          ref={input}
          type="text"
          name="comment"
          autocomplete="off"
          aria-label={t("addComment")}
          placeholder={t("addComment")}
          maxLength={LONGEST}
          value={text}
          dir="auto"
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" class="icon-button accent" aria-label={t("send")} disabled={!text.trim() || busy}>
          <SendHorizontal class="mirror" aria-hidden="true" />
        </button>
      </div>
    </form>
  );
}
