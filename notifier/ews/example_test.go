package ews_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"mailbell/notifier/ews"
)

// A group of one mailbox: subscribe, listen, read what came.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(exchange))
	defer server.Close()
	client, err := ews.NewClient(ews.Options{URL: server.URL + "/EWS/Exchange.asmx", Transport: http.DefaultTransport})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	group := ews.Caller{Impersonate: "alice@contoso.com", Affinity: ews.NewAffinity()}
	id, err := client.Subscribe(ctx, group, ews.NewMailEvent)
	if err != nil {
		fmt.Println("next:", ews.React(err))
		return
	}
	stream, err := client.GetStreamingEvents(ctx, group, ews.StreamRequest{Subscriptions: []ews.SubscriptionID{id}, Timeout: 30 * time.Minute})
	if err != nil {
		fmt.Println("next:", ews.React(err))
		return
	}
	defer stream.Close()
	for {
		message, err := stream.Next()
		if errors.Is(err, io.EOF) {
			fmt.Println("closed; open another with the same subscriptions")
			return
		}
		if err != nil {
			fmt.Println("next:", ews.React(err), "and compare the mailbox")
			return
		}
		for _, n := range message.Notifications {
			for _, e := range n.Events {
				if e.Type != ews.NewMailEvent {
					continue
				}
				items, err := client.GetItem(ctx, ews.Caller{Impersonate: "alice@contoso.com"}, []ews.ItemID{e.Item})
				if err != nil || items[0].Err != nil {
					continue
				}
				fmt.Printf("%s: %s\n", items[0].Item.FromName, items[0].Item.Subject)
			}
		}
	}
	// Output:
	// Bob Example: Quarterly figures
	// closed; open another with the same subscriptions
}

// exchange answers with the messages of testdata.
func exchange(w http.ResponseWriter, r *http.Request) {
	request, _ := io.ReadAll(r.Body)
	for operation, file := range map[string]string{"Subscribe": "subscribe_response.xml", "GetStreamingEvents": "stream_exchange.xml", "GetItem": "getitem_one_response.xml"} {
		if strings.Contains(string(request), "<m:"+operation+">") {
			body, _ := os.ReadFile("testdata/" + file)
			_, _ = w.Write(body)
		}
	}
}
