/* Draws the reference from the documents that the gateway serves. Everything becomes text, never markup. */
(() => {
  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };

  const resolved = (document_, schema) => {
    let found = schema ?? {};
    for (let depth = 0; found.$ref && depth < 8; depth++) {
      found = found.$ref.slice(2).split("/").reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], document_) ?? {};
    }
    return found;
  };

  const typeOf = (document_, schema) => {
    const name = schema?.$ref?.split("/").at(-1);
    const found = resolved(document_, schema);
    if (found.const !== undefined) return JSON.stringify(found.const);
    if (found.enum) return found.enum.map((each) => JSON.stringify(each)).join(" | ");
    const either = found.anyOf ?? found.oneOf;
    if (either) return either.map((each) => typeOf(document_, each)).join(" | ");
    if (found.type === "array") return `[${typeOf(document_, found.items)}]`;
    return name ?? [found.type ?? "any"].flat().join(" | ") + (found.format ? ` (${found.format})` : "");
  };

  /** The fields of an object, a row each; nested objects are drawn below their row. */
  const fields = (document_, schema, depth = 0) => {
    let found = resolved(document_, schema);
    if (found.type === "array") found = resolved(document_, found.items);
    const properties = Object.entries(found.properties ?? {});
    if (!properties.length) return null;
    const rows = properties.map(([name, value]) => {
      const inner = resolved(document_, value);
      const target = inner.type === "array" ? resolved(document_, inner.items) : inner;
      const text = [inner.description ?? value.description ?? ""];
      if (inner.default !== undefined && inner.default !== null) text.push(`Default: ${JSON.stringify(inner.default)}.`);
      const cell = element("td", {}, text.filter(Boolean).join(" "));
      if (depth < 2 && target.properties) cell.append(fields(document_, target, depth + 1) ?? "");
      const mark = (found.required ?? []).includes(name) ? "" : "?";
      return element("tr", {}, element("td", {}, element("code", {}, name + mark)), element("td", {}, typeOf(document_, value)), cell);
    });
    const head = element("thead", {}, element("tr", {}, ...["field", "type", ""].map((text) => element("th", {}, text))));
    return element("table", {}, head, element("tbody", {}, ...rows));
  };

  const content = (document_, body) => {
    const found = resolved(document_, body);
    return Object.entries(found?.content ?? {}).map(([kind, { schema }]) =>
      element("div", {}, element("p", {}, element("code", {}, kind), " ", typeOf(document_, schema)), fields(document_, schema)));
  };

  const operation = (document_, path, method, shared, found) => {
    const summary = element("summary", {}, element("span", { class: "api-method" }, method.toUpperCase()), element("span", { class: "api-path" }, path),
      " ", found.summary ?? "");
    const made = element("details", { class: "api-route", id: `${method}${path}`.replaceAll(/[^\w]+/g, "-") }, summary);
    if (found.description) made.append(element("p", {}, found.description));
    const parameters = [...shared, ...(found.parameters ?? [])].map((each) => resolved(document_, each));
    if (parameters.length) {
      const rows = parameters.map((each) => element("tr", {}, element("td", {}, element("code", {}, each.name + (each.required ? "" : "?"))),
        element("td", {}, `${each.in}, ${typeOf(document_, each.schema)}`), element("td", {}, each.description ?? each.schema?.description ?? "")));
      made.append(element("h4", {}, "Parameters"), element("table", {}, element("tbody", {}, ...rows)));
    }
    if (found.requestBody) made.append(element("h4", {}, "Body"), ...content(document_, found.requestBody));
    for (const [status, answer] of Object.entries(found.responses ?? {})) {
      const is = resolved(document_, answer);
      const isError = Number(status) >= 400;
      made.append(element("h4", {}, `${status} `, element("small", {}, is.description ?? "")), ...(isError ? [] : content(document_, answer)));
    }
    return made;
  };

  const METHODS = ["get", "post", "put", "patch", "delete"];
  const drawHttp = (document_) => {
    const groups = new Map();
    for (const [path, item] of Object.entries(document_.paths ?? {})) {
      for (const method of METHODS.filter((name) => item[name])) {
        const tag = item[method].tags?.[0] ?? "other";
        if (!groups.has(tag)) groups.set(tag, []);
        groups.get(tag).push(operation(document_, path, method, item.parameters ?? [], item[method]));
      }
    }
    return [...groups].flatMap(([tag, operations]) => [element("h3", { id: `http-${tag}` }, tag), ...operations]);
  };

  const drawEvents = (document_) =>
    Object.entries(document_.components?.messages ?? {}).map(([name, message]) => {
      const summary = element("summary", {}, element("span", { class: "api-path" }, name), " ", message.summary ?? message.title ?? "");
      return element("details", { class: "api-route" }, summary, message.description ? element("p", {}, message.description) : null,
        fields(document_, message.payload?.schema ?? message.payload));
    });

  for (const [id, draw] of [["openapi", drawHttp], ["asyncapi", drawEvents]]) {
    const place = document.getElementById(id);
    if (!place) continue;
    fetch(new URL(`..${place.dataset.src}`, document.baseURI))
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
      .then((found) => place.replaceChildren(...draw(found)))
      .catch((error) => place.replaceChildren(element("p", {}, `The document could not be read (${error.message}).`)));
  }
})();
