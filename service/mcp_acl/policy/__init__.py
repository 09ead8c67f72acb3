"""Policy files: text to a compiled, indexed set."""
