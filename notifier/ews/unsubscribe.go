package ews

import "context"

// Unsubscribe ends a subscription (EWS reference "Unsubscribe operation"). A
// second time it is answered with ErrorSubscriptionNotFound.
func (c *Client) Unsubscribe(ctx context.Context, who Caller, id SubscriptionID) error {
	var o outcome
	return c.postOne(ctx, who, "Unsubscribe", unsubscribeRequest(c.version, who, id), &o, (*scanner).skip)
}

func unsubscribeRequest(v Version, who Caller, id SubscriptionID) []byte {
	b := beginEnvelope(v, who.Impersonate)
	b = append(b, `<m:Unsubscribe>`...)
	b = appendElement(b, "m:SubscriptionId", string(id))
	b = append(b, `</m:Unsubscribe>`...)
	return endEnvelope(b)
}
