/** Every API call the app makes, by name. Shapes come from the services' documents (api/schema, `npm run client`). */
import { call, download } from "./http";
import { request } from "./typed";
import type { AvatarView, Completion, LibrarySound, Registration, SoundPage, UploadParts, VideoChange, VideoPage } from "./types";

const PAGE = 30;
type Cursor = string | null;
const from = (cursor: Cursor): { cursor?: string } => (cursor === null ? {} : { cursor });

export const api = {
  register: (body: Registration) => request("post", "/api/v1/auth/register", { body, anonymous: true }),
  login: (body: { username: string; password: string }) => request("post", "/api/v1/auth/login", { body, anonymous: true }),
  logout: (refreshToken: string) => request("post", "/api/v1/auth/logout", { body: { refreshToken } }),

  feed: (count: number, cursor: Cursor) => request("get", "/api/v1/feed", { query: { count, cursor } }),
  following: (count: number, cursor: Cursor) => request("get", "/api/v1/feed/following", { query: { count, cursor } }),
  interests: (interests: string[]) => request("post", "/api/v1/onboarding/interests", { body: { interests } }),
  steerFeed: (body: { action: "more" | "less" | "not_interested"; videoId: string } | { action: "reset" }) =>
    request("post", "/api/v1/feed/controls", { body }),

  video: (id: string) => request("get", "/api/v1/videos/{id}", { path: { id } }),
  updateVideo: (id: string, body: VideoChange) => request("patch", "/api/v1/videos/{id}", { path: { id }, body }),
  reprocess: (id: string) => request("post", "/api/v1/videos/{id}/reprocess", { path: { id } }),
  deleteVideo: (id: string) => request("delete", "/api/v1/videos/{id}", { path: { id } }),
  like: (id: string, on: boolean) => request(on ? "post" : "delete", "/api/v1/videos/{id}/like", { path: { id } }),
  bookmark: (id: string, on: boolean) => request(on ? "post" : "delete", "/api/v1/videos/{id}/bookmark", { path: { id } }),
  share: (id: string) => request("post", "/api/v1/videos/{id}/share", { path: { id }, body: { channel: "link" } }),

  comments: (id: string, cursor: Cursor) =>
    request("get", "/api/v1/videos/{id}/comments", { path: { id }, query: { limit: PAGE, ...from(cursor) } }),
  replies: (id: string, commentId: string, cursor: Cursor) =>
    request("get", "/api/v1/videos/{id}/comments/{commentId}/replies", { path: { id, commentId }, query: { limit: 50, ...from(cursor) } }),
  comment: (id: string, text: string, parentId: string | null) =>
    request("post", "/api/v1/videos/{id}/comment", { path: { id }, body: parentId ? { text, parentId } : { text } }),
  likeComment: (id: string, commentId: string, on: boolean) =>
    request(on ? "post" : "delete", "/api/v1/videos/{id}/comments/{commentId}/like", { path: { id, commentId } }),
  deleteComment: (id: string, commentId: string) =>
    request("delete", "/api/v1/videos/{id}/comments/{commentId}", { path: { id, commentId } }),

  user: (userId: string) => request("get", "/api/v1/users/{userId}", { path: { userId } }),
  userVideos: (userId: string, cursor: Cursor) =>
    request("get", "/api/v1/users/{userId}/videos", { path: { userId }, query: { limit: PAGE, ...from(cursor) } }),
  myLikes: (cursor: Cursor): Promise<VideoPage> => request("get", "/api/v1/users/me/likes", { query: { limit: PAGE, ...from(cursor) } }),
  myBookmarks: (cursor: Cursor): Promise<VideoPage> => request("get", "/api/v1/users/me/bookmarks", { query: { limit: PAGE, ...from(cursor) } }),
  follow: (userId: string, on: boolean) => request(on ? "post" : "delete", "/api/v1/users/{userId}/follow", { path: { userId } }),
  acceptFollower: (userId: string) => request("post", "/api/v1/users/{userId}/follow/accept", { path: { userId } }),
  /** Ends that one follows me, or declines that one asks to. */
  removeFollower: (userId: string) => request("delete", "/api/v1/users/{userId}/follower", { path: { userId } }),
  block: (userId: string, on: boolean) => request(on ? "post" : "delete", "/api/v1/users/{userId}/block", { path: { userId } }),
  mute: (userId: string, on: boolean) => request(on ? "post" : "delete", "/api/v1/users/{userId}/mute", { path: { userId } }),
  restrictions: () => request("get", "/api/v1/users/me/restrictions", {}),
  people: (userId: string, side: "followers" | "following", cursor: Cursor) =>
    request("get", `/api/v1/users/{userId}/${side}`, { path: { userId }, query: { limit: PAGE, ...from(cursor) } }),
  updateMe: (body: { displayName?: string; bio?: string; private?: boolean }) => request("patch", "/api/v1/users/me", { body }),
  deleteMe: (password: string) => request("post", "/api/v1/users/me/delete", { body: { password } }),
  /** Everything kept about this account, one JSON object a line. */
  exportMe: () => download("/api/v1/users/me/export"),
  notifications: () => request("get", "/api/v1/notifications", { query: { limit: 50 } }),
  readNotifications: (upTo: string) => request("post", "/api/v1/notifications/read", { body: { upTo } }),

  search: (q: string, type: "videos" | "users", cursor: Cursor) => request("get", "/api/v1/search", { query: { q, type, limit: PAGE, ...from(cursor) } }),
  suggest: (q: string, signal: AbortSignal) => request("get", "/api/v1/search/suggest", { query: { q }, signal }),
  hashtagVideos: (hashtag: string, cursor: Cursor): Promise<VideoPage> =>
    request("get", "/api/v1/hashtag/{hashtag}/videos", { path: { hashtag }, query: { limit: PAGE, ...from(cursor) } }),
  soundVideos: (soundId: string, cursor: Cursor): Promise<VideoPage> =>
    request("get", "/api/v1/sounds/{soundId}/videos", { path: { soundId }, query: { limit: PAGE, ...from(cursor) } }),
  trendingHashtags: () => request("get", "/api/v1/trending/hashtags", {}),

  /** Best match first, or most used first without words. */
  sounds: (q: string, cursor: Cursor): Promise<SoundPage> => request("get", "/api/v1/sounds", { query: { q, limit: PAGE, ...from(cursor) } }),
  /** The own sound of a video, as one of the library. */
  soundOf: (videoId: string): Promise<LibrarySound> => request("post", "/api/v1/videos/{id}/sound", { path: { id: videoId } }),
  sound: (soundId: string): Promise<LibrarySound> => request("get", "/api/v1/sounds/{soundId}", { path: { soundId } }),

  uploadLimits: () => request("get", "/api/v1/videos/upload/limits", {}),
  initUpload: (filename: string, filesize: number, durationMs: number) =>
    request("post", "/api/v1/videos/upload/init", { body: { filename, filesize, durationMs } }),
  /** The ticket names the address, so it is not one of the documents' paths. */
  uploadParts: (uploadUrl: string) => call<UploadParts>("GET", uploadUrl),
  completeUpload: (id: string, body: Completion) => request("post", "/api/v1/videos/{id}/upload/complete", { path: { id }, body }),
  captions: (id: string) => request("get", "/api/v1/videos/{id}/captions", { path: { id } }),
  removeCaptions: (id: string, lang: string) => request("delete", "/api/v1/videos/{id}/captions/{lang}", { path: { id, lang } }),
  /** WebVTT text of one language, in place of what was there. */
  putCaptions: (id: string, lang: string, text: string) =>
    call<void>("PUT", `/api/v1/videos/${encodeURIComponent(id)}/captions/${encodeURIComponent(lang)}`, { raw: text, contentType: "text/vtt; charset=utf-8" }),
  /** An image file as it is: the origin checks, turns and resizes it. */
  putAvatar: (picture: Blob) => call<AvatarView>("POST", "/api/v1/users/me/avatar", { raw: picture, contentType: picture.type || "application/octet-stream" }),
  removeAvatar: () => request("delete", "/api/v1/users/me/avatar", {}),
  status: (id: string, signal: AbortSignal) => request("get", "/api/v1/videos/{id}/status", { path: { id }, signal }),
};
