// Two kinds of page: today, and a lesson.

export type Route = { page: 'today' } | { page: 'lesson'; lesson: string };

export function parseRoute(path: string): Route {
  const lesson = /^\/lesson\/([^/]+)\/?$/.exec(path)?.[1];
  return lesson ? { page: 'lesson', lesson: decodeURIComponent(lesson) } : { page: 'today' };
}

/** `moved`: the person has come from another page of the application, not from outside. */
export const router: { route: Route; moved: boolean } = $state({
  route: parseRoute(location.pathname),
  moved: false,
});

export function go(path: string): void {
  history.pushState(null, '', path);
  router.route = parseRoute(path);
  router.moved = true;
}

addEventListener('popstate', () => {
  router.route = parseRoute(location.pathname);
  router.moved = true;
});
