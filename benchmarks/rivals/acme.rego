# The scenario in Rego, for OPA and rego-cpp alike. What is undefined, as an argument that is missing, grants nothing.
package acme

import rego.v1

default allow := false

allow if {
	granted
	not refused
}

granted if {
	input.tool in {"echo", "clock", "search"}
	input.claims.sub
}

granted if {
	startswith(input.tool, "report_")
	"reporting" in input.claims.groups
}

# Rego orders values of all types, so a number is asked for.
granted if {
	input.tool == "publish"
	input.claims.role == "analyst"
	is_number(input.arguments.amount)
	input.arguments.amount <= 1000
	startswith(input.arguments.path, "/public/")
}

granted if {
	startswith(input.tool, "delete_")
	input.claims.role == "admin"
}

refused if {
	startswith(input.tool, "delete_")
	input.claims.contractor
}
