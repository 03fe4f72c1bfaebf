"use strict";
// The page of the API: Swagger UI, in the theme of the page, sending the token that changes need.
(() => {
  const box = document.getElementById("api"), root = document.documentElement;
  const dark = () => root.classList.toggle("dark-mode", root.dataset.bsTheme === "dark");
  dark();
  addEventListener("theme", dark);
  SwaggerUIBundle({
    url: box.dataset.description,
    domNode: box,
    deepLinking: true,
    defaultModelsExpandDepth: -1,
    docExpansion: "none",
    onComplete: () => root.setAttribute("data-ready", ""),
    requestInterceptor: (request) => { request.headers["X-CSRFToken"] = box.dataset.token; return request; },
  });
})();
