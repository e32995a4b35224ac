/** Every API call the app makes, by name. */
import { call } from "./http";
import type { CommentPage, Comment, FeedItem, FeedPage, Notice, TokenReply, UploadParts, UploadTicket, User, VideoStatus } from "./types";

const video = (id: string) => `/api/v1/videos/${encodeURIComponent(id)}`;
const user = (id: string) => `/api/v1/users/${encodeURIComponent(id)}`;

export type Registration = { username: string; password: string; birthdate: string; displayName?: string };
export type VideoPage = { videos: FeedItem[]; nextCursor?: string | null };
export type Completion = {
  title: string;
  description: string;
  hashtags: string[];
  musicId: string | null;
  visibility: string;
  edits: Record<string, unknown> | null;
};

export const api = {
  register: (body: Registration) => call<TokenReply>("POST", "/api/v1/auth/register", { body, anonymous: true }),
  login: (body: { username: string; password: string }) => call<TokenReply>("POST", "/api/v1/auth/login", { body, anonymous: true }),
  logout: (refreshToken: string) => call<void>("POST", "/api/v1/auth/logout", { body: { refreshToken } }),

  feed: (count: number, cursor: string | null, signal?: AbortSignal) =>
    call<FeedPage>("GET", "/api/v1/feed", { query: { count, cursor }, ...(signal ? { signal } : {}) }),
  following: (count: number, cursor: string | null, signal?: AbortSignal) =>
    call<FeedPage>("GET", "/api/v1/feed/following", { query: { count, cursor }, ...(signal ? { signal } : {}) }),
  interests: (interests: string[]) => call<void>("POST", "/api/v1/onboarding/interests", { body: { interests } }),

  video: (id: string) => call<FeedItem>("GET", video(id)),
  deleteVideo: (id: string) => call<void>("DELETE", video(id)),
  like: (id: string, on: boolean) => call<void>(on ? "POST" : "DELETE", `${video(id)}/like`),
  bookmark: (id: string, on: boolean) => call<void>(on ? "POST" : "DELETE", `${video(id)}/bookmark`),
  share: (id: string) => call<void>("POST", `${video(id)}/share`),
  comments: (id: string, cursor: string | null) => call<CommentPage>("GET", `${video(id)}/comments`, { query: { limit: 30, cursor } }),
  replies: (id: string, commentId: string, cursor: string | null) =>
    call<CommentPage>("GET", `${video(id)}/comments/${encodeURIComponent(commentId)}/replies`, { query: { limit: 50, cursor } }),
  likeComment: (id: string, commentId: string, on: boolean) =>
    call<void>(on ? "POST" : "DELETE", `${video(id)}/comments/${encodeURIComponent(commentId)}/like`),
  deleteComment: (id: string, commentId: string) => call<void>("DELETE", `${video(id)}/comments/${encodeURIComponent(commentId)}`),
  comment: (id: string, text: string, parentId: string | null) =>
    call<Comment>("POST", `${video(id)}/comment`, { body: parentId ? { text, parentId } : { text } }),

  user: (id: string) => call<User>("GET", user(id)),
  userVideos: (id: string, cursor: string | null) => call<VideoPage>("GET", `${user(id)}/videos`, { query: { limit: 30, cursor } }),
  follow: (id: string, on: boolean) => call<void>(on ? "POST" : "DELETE", `${user(id)}/follow`),

  searchVideos: (q: string) => call<VideoPage>("GET", "/api/v1/search", { query: { q, type: "videos" } }),
  searchUsers: (q: string) => call<{ users: User[] }>("GET", "/api/v1/search", { query: { q, type: "users" } }),
  suggest: (q: string, signal: AbortSignal) => call<{ suggestions: string[] }>("GET", "/api/v1/search/suggest", { query: { q }, signal }),
  hashtagVideos: (tag: string, cursor: string | null) =>
    call<VideoPage>("GET", `/api/v1/hashtag/${encodeURIComponent(tag)}/videos`, { query: { limit: 30, cursor } }),
  soundVideos: (id: string, cursor: string | null) =>
    call<VideoPage>("GET", `/api/v1/sounds/${encodeURIComponent(id)}/videos`, { query: { limit: 30, cursor } }),
  trendingHashtags: () => call<{ hashtags: { tag: string; videoCount?: number }[] }>("GET", "/api/v1/trending/hashtags"),

  notifications: () => call<{ notifications: Notice[] }>("GET", "/api/v1/notifications"),
  updateMe: (body: { displayName?: string; bio?: string; private?: boolean }) => call<User>("PATCH", user("me"), { body }),
  exportMe: () => call<unknown>("GET", `${user("me")}/export`),
  deleteMe: () => call<void>("DELETE", user("me")),
  steerFeed: (body: { action: "more" | "less" | "not_interested" | "reset"; videoId?: string }) =>
    call<void>("POST", "/api/v1/feed/controls", { body }),

  initUpload: (filename: string, filesize: number, durationMs: number) =>
    call<UploadTicket>("POST", "/api/v1/videos/upload/init", { body: { filename, filesize, durationMs } }),
  uploadParts: (uploadUrl: string) => call<UploadParts>("GET", uploadUrl),
  completeUpload: (id: string, body: Completion) => call<unknown>("POST", `${video(id)}/upload/complete`, { body }),
  status: (id: string, signal?: AbortSignal) => call<VideoStatus>("GET", `${video(id)}/status`, signal ? { signal } : {}),
};
