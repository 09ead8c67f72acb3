// A canary: a server of the Go SDK that writes down every handler that runs.
//
// go-server RECORD [--json] [--sessions] [--corpus]; --corpus adds what the adversarial corpus names: templates, a tool that calls
// others, values that are secret, streams that can be taken up again.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const template = "demo://docs/{name}"

var record *os.File

type object = map[string]any

func ran(extra *mcp.RequestExtra, kind, name string, arguments any) {
	line := object{"kind": kind, "name": name, "arguments": arguments, "message": extra.Header.Get("X-Message")}
	data, err := json.Marshal(line)
	if err != nil {
		log.Fatal(err)
	}
	record.Write(append(data, '\n'))
}

// Not one handler insists on an argument: whatever reaches it is written down.
func canary() *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "canary"}, &mcp.ServerOptions{CompletionHandler: complete})
	for _, name := range []string{"echo", "add", "secret_delete", "secret_transfer"} {
		mcp.AddTool(server, &mcp.Tool{Name: name, InputSchema: object{"type": "object"}},
			func(_ context.Context, request *mcp.CallToolRequest, arguments object) (*mcp.CallToolResult, any, error) {
				ran(request.Extra, "tool", name, arguments)
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name}}}, nil, nil
			})
	}
	for _, name := range []string{"greet", "secret_prompt"} {
		prompt := &mcp.Prompt{Name: name, Arguments: []*mcp.PromptArgument{{Name: "who"}}}
		server.AddPrompt(prompt, func(_ context.Context, request *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			ran(request.Extra, "prompt", name, request.Params.Arguments)
			said := &mcp.PromptMessage{Role: "user", Content: &mcp.TextContent{Text: name}}
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{said}}, nil
		})
	}
	for _, uri := range []string{"demo://public/one", "demo://secret/one"} {
		server.AddResource(&mcp.Resource{Name: uri, URI: uri}, func(_ context.Context, request *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			ran(request.Extra, "resource", uri, object{})
			return contents(request.Params.URI), nil
		})
	}
	addTemplate(server, template)
	if isForCorpus() {
		addTemplate(server, "demo://public/{name}")
		addTemplate(server, "demo://secret/{name}")
		mcp.AddTool(server, &mcp.Tool{Name: "call_tool", InputSchema: object{"type": "object"}}, callTool)
	}
	return server
}

func addTemplate(server *mcp.Server, template string) {
	read := func(_ context.Context, request *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		name := strings.TrimPrefix(request.Params.URI, strings.TrimSuffix(template, "{name}"))
		ran(request.Extra, "template", template, object{"name": name})
		return contents(request.Params.URI), nil
	}
	server.AddResourceTemplate(&mcp.ResourceTemplate{Name: template, URITemplate: template}, read)
}

func callTool(_ context.Context, request *mcp.CallToolRequest, arguments object) (*mcp.CallToolResult, any, error) {
	ran(request.Extra, "tool", "call_tool", arguments)
	name := fmt.Sprint(arguments["name"])
	ran(request.Extra, "tool", name, arguments["arguments"])
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name}}}, nil, nil
}

func contents(uri string) *mcp.ReadResourceResult {
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: uri, Text: uri}}}
}

func complete(_ context.Context, request *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	argument := request.Params.Argument
	ran(request.Extra, "completion", request.Params.Ref.Name+request.Params.Ref.URI, object{argument.Name: argument.Value})
	values := []string{argument.Value + "!"}
	if isForCorpus() && request.Params.Ref.URI != "" {
		values = append(values, "../secret/plan")
	}
	return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: values}}, nil
}

func isForCorpus() bool {
	return slices.Contains(os.Args, "--corpus")
}

func main() {
	var err error
	if record, err = os.OpenFile(os.Args[1], os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600); err != nil {
		log.Fatal(err)
	}
	server := canary()
	options := &mcp.StreamableHTTPOptions{
		Stateless:    !slices.Contains(os.Args, "--sessions"),
		JSONResponse: slices.Contains(os.Args, "--json"),
	}
	if isForCorpus() {
		options.EventStore = mcp.NewMemoryEventStore(nil)
	}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, options)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Printf("ready http://%s/mcp\n", listener.Addr())
	log.Fatal(http.Serve(listener, handler))
}
