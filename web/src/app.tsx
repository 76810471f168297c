import { Component, type ComponentChildren, type ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Frame } from "./components/frame";
import { Link } from "./components/link";
import { t } from "./lib/i18n";
import { match, path } from "./lib/router";
import { routes, type PageProps, type Route } from "./routes";

const loaded = new Map<Route, ComponentType<PageProps>>();

function find(target: string): { route: Route; parts: Record<string, string> } | null {
  for (const route of routes) {
    const parts = match(route.pattern, target);
    if (parts) return { route, parts };
  }
  return null;
}

/** Begins to load the first page's script while the words are still under way. */
export function preload(): void {
  const route = find(path.peek())?.route;
  route?.load().then(
    (module) => loaded.set(route, module.default),
    () => undefined, // usePage tries again, and says so.
  );
}

/** The page of an address. The one before stays until the script of the next is there, so that nothing flashes. */
function usePage(route: Route | undefined): { page: ComponentType<PageProps> | undefined; failed: boolean } {
  const [state, setState] = useState({ page: route && loaded.get(route), route, failed: false });
  const known = route && loaded.get(route);
  useEffect(() => {
    if (!route || known) return undefined;
    let isWanted = true;
    route.load().then(
      (module) => {
        loaded.set(route, module.default);
        if (isWanted) setState({ page: module.default, route, failed: false });
      },
      () => {
        if (isWanted) setState({ page: undefined, route, failed: true });
      },
    );
    return () => {
      isWanted = false;
    };
  }, [route, known]);
  return known ? { page: known, failed: false } : { page: undefined, failed: state.failed && state.route === route };
}

export function App() {
  const found = find(path.value);
  const { page: Page, failed } = usePage(found?.route);
  return (
    <Frame nav={found?.route.nav} title={found ? t(found.route.title) : t("page.not_found")}>
      {found && Page ? (
        <Boundary key={path.value}>
          <Page parts={found.parts} />
        </Boundary>
      ) : !found ? (
        <NotFound />
      ) : (
        failed && <Broken text={t("page.script_missing")} />
      )}
    </Frame>
  );
}

function NotFound() {
  return (
    <div class="state empty">
      <h1>{t("page.not_found")}</h1>
      <p>{t("page.not_found_text")}</p>
      <Link to="/">{t("nav.overview")}</Link>
    </div>
  );
}

/** A new version of the server has other scripts; and a fault in one page must not blank the frame. */
function Broken({ text }: { text: string }) {
  return (
    <div class="state failed" role="alert">
      <p class="lead">{text}</p>
      <div class="buttons">
        <button type="button" class="button" onClick={() => location.reload()}>
          {t("action.reload")}
        </button>
      </div>
    </div>
  );
}

class Boundary extends Component<{ children: ComponentChildren }, { message: string | null }> {
  override state = { message: null as string | null };

  override componentDidCatch(error: unknown): void {
    this.setState({ message: error instanceof Error ? error.message : String(error) });
  }

  render({ children }: { children: ComponentChildren }) {
    return this.state.message === null ? children : <Broken text={t("page.broken", { message: this.state.message })} />;
  }
}
