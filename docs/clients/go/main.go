// A gateway in miniature: asks mcp-acl about one MCP message, and hands it the response to that message.
//
// It fails closed: only DECISION_ALLOW lets the message pass. No answer, an answer without a decision and an answer that came too late
// deny it, or withhold its response.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"example.org/mcp-acl-ask/build/acl"
)

// What the stubs are made with; `go generate` runs it.
//
//go:generate go build -o build/ tool
//go:generate ../../../.venv/bin/python -m grpc_tools.protoc -I../../../proto --plugin=build/protoc-gen-go --plugin=build/protoc-gen-go-grpc --go_out=. --go_opt=module=example.org/mcp-acl-ask,Macl.proto=example.org/mcp-acl-ask/build/acl --go-grpc_out=. --go-grpc_opt=module=example.org/mcp-acl-ask,Macl.proto=example.org/mcp-acl-ask/build/acl acl.proto

const usage = `usage: ask ADDRESS SERVER CLAIMS MESSAGE [RESPONSE]

ADDRESS   where the service listens, host:port
SERVER    the id of the MCP server that the message is for
CLAIMS    the verified claims of the token, as JSON; '' if there is no token
MESSAGE   the message, as it came
RESPONSE  what the MCP server answers, if the message passes
`

// How long one answer may take, a second attempt included.
const patience = time.Second

// A service that shuts down says UNAVAILABLE: ask again, once.
const again = `{"methodConfig": [{
	"name": [{"service": "mcp_acl.v1.AccessControl"}],
	"retryPolicy": {
		"maxAttempts": 2, "initialBackoff": "0.05s", "maxBackoff": "0.05s", "backoffMultiplier": 1,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}
}]}`

// check returns an answer that allows the message, or one that denies it and says what to send back.
func check(service acl.AccessControlClient, question *acl.CheckRequest) (*acl.CheckResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := service.Check(ctx, question)
	if err == nil && answer.GetDecision() == acl.Decision_DECISION_ALLOW {
		return answer, nil
	}
	if err == nil && answer.GetDecision() == acl.Decision_DECISION_DENY && answer.GetDenial() != nil {
		return answer, nil
	}
	if err == nil {
		err = errors.New("the answer holds no decision")
	}
	return &acl.CheckResponse{
		Decision: acl.Decision_DECISION_DENY,
		Reason:   "unavailable",
		Denial:   &acl.Denial{Status: 200, Body: unavailable(question.GetRaw())},
	}, err
}

// filter returns what to send instead of the response: an error, if that cannot be said.
func filter(service acl.AccessControlClient, message []byte, allowed *acl.CheckResponse, response []byte) ([]byte, error) {
	if allowed.GetResponseNeeds() == acl.ResponseNeeds_RESPONSE_NEEDS_NONE {
		return response, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := service.FilterResponse(ctx, &acl.FilterResponseRequest{
		Context: allowed.GetContext(), ContentType: "application/json", Body: response, Status: 200,
	})
	if err == nil && answer.GetStatus() == 0 {
		err = errors.New("the answer holds no response")
	}
	if err != nil {
		return unavailable(message), err
	}
	return answer.GetBody(), nil
}

// unavailable is the JSON-RPC error that answers a message when the service does not.
func unavailable(message []byte) []byte {
	var asked struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(message, &asked) != nil {
		asked.ID = nil
	}
	body, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0",
		"id":      asked.ID,
		"error":   map[string]any{"code": -32603, "message": "access cannot be decided at the moment"},
	})
	if err != nil {
		panic(err) // There is nothing in it that could not be written.
	}
	return body
}

// principal is who asks: claims count only because somebody verified them.
func principal(claims string) *acl.Principal {
	if claims == "" {
		return &acl.Principal{Token: acl.TokenState_TOKEN_STATE_NONE}
	}
	return &acl.Principal{
		Token:  acl.TokenState_TOKEN_STATE_VALID,
		Claims: &acl.Principal_ClaimsJson{ClaimsJson: []byte(claims)},
	}
}

// run prints what a gateway would do, and says whether everything passed.
func run(address, server, claims, message string, response []string) bool {
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // On loopback; elsewhere credentials.NewTLS.
		grpc.WithNoProxy(),
		grpc.WithDefaultServiceConfig(again),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)), // As large as what was sent.
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return false
	}
	defer connection.Close()
	service := acl.NewAccessControlClient(connection)

	answer, err := check(service, &acl.CheckRequest{
		Server:           server,
		Direction:        acl.Direction_DIRECTION_CLIENT_TO_SERVER,
		Message:          &acl.CheckRequest_Raw{Raw: []byte(message)},
		Principal:        principal(claims),
		FiltersResponses: true,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if answer.GetDecision() != acl.Decision_DECISION_ALLOW {
		fmt.Printf("DENY %s\n%s\n", answer.GetReason(), answer.GetDenial().GetBody())
		return false
	}
	fmt.Println("ALLOW", answer.GetReason())
	for _, one := range response {
		body, err := filter(service, []byte(message), answer, []byte(one))
		fmt.Printf("%s\n", body)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return false
		}
	}
	return true
}

func main() {
	if len(os.Args) != 5 && len(os.Args) != 6 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if !run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5:]) {
		os.Exit(1)
	}
}
