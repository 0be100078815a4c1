import createClient from "openapi-fetch";

/** An answer of the API that is no success. */
export class RecommenderError extends Error {
  constructor(response, body) {
    const error = body?.error ?? {};
    super(error.message ?? `HTTP ${response.status}`);
    this.name = "RecommenderError";
    this.status = response.status;
    this.code = error.code ?? "unknown";
    this.field = error.field ?? null;
    const seconds = Number(response.headers.get("retry-after"));
    this.retryAfterSeconds = seconds > 0 ? seconds : null;
  }
}

export function createRecommender({ url, key, timeoutMs = 35_000, ...options }) {
  const client = createClient({ ...options, baseUrl: `${url.replace(/\/+$/, "")}/api/v1` });
  client.use({
    onRequest({ request }) {
      if (key) request.headers.set("authorization", `Bearer ${key}`);
      return new Request(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]) });
    },
    async onResponse({ response }) {
      if (response.ok) return;
      throw new RecommenderError(response, await response.json().catch(() => null));
    },
  });
  return client;
}
