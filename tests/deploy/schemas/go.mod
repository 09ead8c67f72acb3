// Modules that carry schemas of resources which deploy/ has examples of. Nothing is built: they are downloaded, and read.
module mcp-acl.invalid/schemas

go 1.24
