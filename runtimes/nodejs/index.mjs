import "./index.cjs";
