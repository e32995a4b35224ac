/** `request("get", "/api/v1/videos/{id}", { path: { id } })`: paths, queries, bodies and replies as the services say. */
import { call, type Query } from "./http";
import type { paths as OriginPaths } from "./schema/origin";
import type { paths as PopPaths } from "./schema/pop";

type Paths = PopPaths & Omit<OriginPaths, keyof PopPaths>;
type Method = "get" | "post" | "put" | "patch" | "delete";

type Json<T> = T extends { content: { "application/json": infer Body } } ? Body : undefined;
type OkStatus = 200 | 201 | 202 | 204;
type Reply<Operation> = Operation extends { responses: infer Responses }
  ? Json<Responses[Extract<keyof Responses, OkStatus>]>
  : undefined;
/** Members with a default need not be sent, which the documents' types do not tell apart in a request. */
type Sendable<Body> = Body extends object ? { [Key in keyof Body]?: Sendable<Body[Key]> } : Body;
type BodyOf<Operation> = Operation extends { requestBody: { content: { "application/json": infer Body } } }
  ? { body: Sendable<Body> }
  : Operation extends { requestBody?: { content: { "application/json": infer Body } } }
    ? { body?: Sendable<Body> }
    : { body?: undefined };
type PathOf<Operation> = Operation extends { parameters: { path: infer Path extends Record<string, string> } }
  ? { path: Path }
  : { path?: undefined };
type QueryOf<Operation> = Operation extends { parameters: { query?: infer Known } } ? { query?: Known } : { query?: undefined };

type Options<Operation> = BodyOf<Operation> & PathOf<Operation> & QueryOf<Operation> & { signal?: AbortSignal; anonymous?: boolean };

/** Paths that have an operation under `M`. */
type PathsWith<M extends Method> = { [P in keyof Paths]: Paths[P] extends Record<M, object> ? P : never }[keyof Paths];

export function request<M extends Method, P extends PathsWith<M>>(
  method: M,
  path: P,
  options: Options<Paths[P][M & keyof Paths[P]]>,
): Promise<Reply<Paths[P][M & keyof Paths[P]]>> {
  const { path: parameters, query, body, signal, anonymous } = options as {
    path?: Record<string, string>;
    query?: Query;
    body?: unknown;
    signal?: AbortSignal;
    anonymous?: boolean;
  };
  const filled = String(path).replace(/\{(\w+)\}/g, (_whole, name: string) => encodeURIComponent(parameters?.[name] ?? ""));
  return call(method.toUpperCase(), filled, {
    ...(query ? { query } : {}),
    ...(body === undefined ? {} : { body }),
    ...(signal ? { signal } : {}),
    ...(anonymous ? { anonymous } : {}),
  });
}
