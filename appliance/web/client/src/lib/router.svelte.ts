// Two kinds of page: today, and a lesson.

export type Route = { page: 'today' } | { page: 'lesson'; lesson: string };

export function parseRoute(path: string): Route {
  const lesson = /^\/lesson\/([^/]+)\/?$/.exec(path)?.[1];
  return lesson ? { page: 'lesson', lesson: decodeURIComponent(lesson) } : { page: 'today' };
}

export const router: { route: Route } = $state({ route: parseRoute(location.pathname) });

export function go(path: string): void {
  history.pushState(null, '', path);
  router.route = parseRoute(path);
}

addEventListener('popstate', () => {
  router.route = parseRoute(location.pathname);
});
