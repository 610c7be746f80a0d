/* What the theme leaves out for those who do not use a mouse or a screen: a name for the search
   and for each code box's buttons, and code and tables that the keyboard can scroll. */

document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
document.querySelector(".md-search__options")?.setAttribute("aria-label", "Search options");

const complete = () => {
  document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((nav) => {
    nav.setAttribute("aria-label", `Code ${nav.closest("pre")?.id ?? ""}`);
  });
  const scrollable = "pre > code:not([tabindex]), .md-typeset__scrollwrap:not([tabindex])";
  document.querySelectorAll(scrollable).forEach((box) => {
    box.tabIndex = 0;
  });
};

complete();
new MutationObserver(complete).observe(document.body, {
  attributeFilter: ["tabindex"],
  childList: true,
  subtree: true,
});
