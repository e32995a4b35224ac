/** Comments of a clip, newest first, with replies one level deep. */
import { useEffect, useRef, useState } from "preact/hooks";
import { MessageCircle, SendHorizontal, X } from "lucide-preact";
import { api } from "../api/calls";
import type { Comment, FeedItem } from "../api/types";
import { ago, t, tn } from "../i18n/i18n";
import { Avatar } from "../parts/avatar";
import { Sheet } from "../parts/sheet";
import { Note, Spinner } from "../parts/states";
import { links } from "../routing/router";
import { withAccount } from "../session/gate";
import type { Deck } from "./deck";
import { tell } from "./engagement";
import type { FeedList } from "./feed_list";

type Props = { item: FeedItem; list: FeedList; deck: Deck; onClose: () => void };
const LONGEST = 500;

export function Comments({ item, list, deck, onClose }: Props) {
  const [comments, setComments] = useState<Comment[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [replyTo, setReplyTo] = useState<Comment | null>(null);

  const load = async (from: string | null): Promise<void> => {
    try {
      const page = await api.comments(item.id, from);
      setComments((known) => [...(from ? (known ?? []) : []), ...page.comments]);
      setCursor(page.nextCursor ?? null);
    } catch (error) {
      setComments((known) => known ?? []);
      tell(error);
    }
  };
  useEffect(() => void load(null), [item.id]);

  const send = async (text: string): Promise<void> => {
    const parent = replyTo ? (replyTo.parentId ?? replyTo.id) : null;
    const posted = await api.comment(item.id, text, parent);
    setComments((known) => [posted, ...(known ?? [])]);
    setReplyTo(null);
    list.patch(item.id, { commentCount: item.commentCount + 1 });
    deck.act({ commented: true });
  };

  return (
    <Sheet
      side
      title={tn("commentCount", item.commentCount)}
      onClose={onClose}
      footer={<Composer replyTo={replyTo} onCancelReply={() => setReplyTo(null)} onSend={send} />}
    >
      {comments === null && <Spinner />}
      {comments?.length === 0 && <Note icon={MessageCircle} title={t("noComments")} hint={t("noCommentsHint")} />}
      <ul class="comments">
        {threads(comments ?? []).map(({ root, replies }) => (
          <li key={root.id}>
            <CommentLine comment={root} onReply={setReplyTo} />
            {replies.length > 0 && (
              <ul class="replies">
                {replies.map((reply) => (
                  <li key={reply.id}>
                    <CommentLine comment={reply} onReply={setReplyTo} />
                  </li>
                ))}
              </ul>
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

/** Replies under their parents, oldest first; a reply whose parent is not on this page stands alone. */
export function threads(comments: Comment[]): { root: Comment; replies: Comment[] }[] {
  const roots = new Set(comments.filter((comment) => !comment.parentId).map(({ id }) => id));
  return comments
    .filter((comment) => !comment.parentId || !roots.has(comment.parentId))
    .map((root) => ({
      root,
      replies: comments.filter((comment) => comment.parentId === root.id).sort((a, b) => a.createdAtMs - b.createdAtMs),
    }));
}

function CommentLine({ comment, onReply }: { comment: Comment; onReply: (comment: Comment) => void }) {
  return (
    <div class="comment">
      <a href={links.profile(comment.user.username)} tabIndex={-1} aria-hidden="true">
        <Avatar user={comment.user} size={36} />
      </a>
      <div>
        <p class="comment-who">
          <a href={links.profile(comment.user.username)}>{comment.user.displayName || comment.user.username}</a>
          <time>{ago(comment.createdAtMs)}</time>
        </p>
        <p class="comment-text" dir="auto">
          {comment.text}
        </p>
        <button type="button" class="text-button" onClick={() => onReply(comment)}>
          {t("reply")}
        </button>
      </div>
    </div>
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
