/* What the theme leaves out for those who do not use a mouse or a screen: a name for the search,
   code boxes that the keyboard can scroll, and no landmark for every copy button. */

document.querySelector(".md-search")?.setAttribute("aria-label", "Search");

for (const code of document.querySelectorAll("pre > code")) {
  code.tabIndex = 0;
}

new MutationObserver(() => {
  for (const nav of document.querySelectorAll(".md-code__nav:not([role])")) {
    nav.setAttribute("role", "group");
  }
}).observe(document.body, { childList: true, subtree: true });
