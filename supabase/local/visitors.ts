/**
 * Who may use the local stack: programs on this machine, and pages that the stack itself served.
 *
 * Its keys are in the repository and it shows every text, so other web pages must not reach it. A page
 * of another site sends its own `Origin`. A page whose host name was rebound to the loopback address
 * sends that name as `Host`. Both are refused. A name given with `--public-host`, for a tunnel, reaches
 * only the functions, which authenticate their callers.
 *
 * @module
 */

const loopbackNames: readonly string[] = ["127.0.0.1", "localhost", "[::1]"];

/** What a request tells about its origin. */
export interface Visit {
  readonly pathname: string;
  readonly header: (name: string) => string | null | undefined;
}

/** The {@link Visit} of a request for a path. */
export function visitOf(request: Request, pathname: string): Visit {
  return {
    pathname,
    header: (name) => request.headers.get(name),
  };
}

/**
 * Why a request is refused.
 *
 * @param publicHost The name, without a port, under which a tunnel serves the functions.
 * @returns A sentence for the developer; undefined when the request is allowed.
 */
export function refuseVisit({ pathname, header }: Visit, publicHost?: string): string | undefined {
  const host = header("host") ?? "";
  // A tunnel may replace Host and send the original name in another header.
  const hosts = [host, header("x-forwarded-host") || host];
  const names = hosts.map((text) => nameOf(`http://${text}`) ?? "");
  if (publicHost !== undefined && names.includes(publicHost)) {
    return pathname.startsWith("/functions/v1/")
      ? undefined
      : `${publicHost} serves /functions/v1/ only; open this page at 127.0.0.1`;
  }
  if (!names.every((name) => loopbackNames.includes(name))) {
    return `The local stack does not answer to the host name "${hosts.at(-1)}". Use 127.0.0.1 or ` +
      "localhost; for a tunnel start it with --public-host NAME";
  }
  const origin = header("origin");
  if (origin && origin !== `http://${host}`) {
    return `The local stack does not answer pages of ${origin}, only its own`;
  }
  const isForeign = ["cross-site", "same-site"].includes(header("sec-fetch-site") ?? "");
  return isForeign && header("sec-fetch-mode") !== "navigate"
    ? "The local stack does not answer pages of other sites"
    : undefined;
}

/** Whether a text is a host name for `--public-host`: no scheme, port or path. */
export function isPublicHost(text: string): boolean {
  return /^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(text) && nameOf(`http://${text}`) === text &&
    !loopbackNames.includes(text);
}

/** The usual names, with a port. Parsing a URL for each request would cost more than some answers. */
const loopback = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/;

function nameOf(url: string): string | undefined {
  const usual = loopback.exec(url)?.[1];
  if (usual !== undefined) return usual;
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}
