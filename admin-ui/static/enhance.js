// Makes the server's pages livelier; every page works without it.
// [data-live] is refreshed from its address; form[data-enhance] is sent without leaving the page.
const policy = window.trustedTypes?.createPolicy("belfry-fragment", { createHTML: (html) => html });
const parse = (html) =>
  new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");

// Puts new nodes in place of the old ones and the focus back where it was.
function swap(target, nodes) {
  const held = target.contains(document.activeElement) && document.activeElement.id;
  target.replaceChildren(...nodes);
  if (held) document.getElementById(held)?.focus();
}

async function refresh(element) {
  if (document.hidden) return;
  const answer = await fetch(element.dataset.live, { headers: { accept: "text/html" } });
  if (answer.redirected) location.reload();
  else if (answer.ok) swap(element, parse(await answer.text()).body.childNodes);
}

for (const element of document.querySelectorAll("[data-live]")) {
  setInterval(() => refresh(element).catch(() => {}), 1000 * (element.dataset.liveSecs || 10));
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-enhance]")) return;
  event.preventDefault();
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  try {
    const data = new FormData(form, event.submitter);
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { accept: "text/html" },
      body: form.enctype === "multipart/form-data" ? data : new URLSearchParams(data),
    });
    const page = parse(await answer.text());
    const [main, next] = [document.getElementById("main"), page.getElementById("main")];
    // Another shell or another page altogether: go there as a browser would.
    if (!next || answer.redirected) return location.assign(answer.url);
    swap(main, next.childNodes);
    document.title = page.title;
    (main.querySelector("[aria-invalid],[data-flash]") || main).focus();
  } catch {
    form.submit();
  } finally {
    form.ariaBusy = null;
  }
});
