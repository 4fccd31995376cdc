// Where the console begins.

import { render } from "preact";
import { App } from "./app";
import { loadCatalog } from "./catalog/store";
import { followAddress } from "./route";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/editor.css";
import "./styles/grid.css";
import "./styles/pages.css";
import "./styles/plots.css";
import "./styles/runs.css";
import { applyTheme, theme } from "./theme";

applyTheme(theme.value);
followAddress();
void loadCatalog();
render(<App />, document.getElementById("app")!);
