package autodiscover

import "time"

const (
	// BatchDefault is the number of users asked about in one request. The server's
	// own maximum is configuration that is published nowhere; a batch that is too
	// large is halved.
	BatchDefault = 50
	// ParallelDefault is the number of requests under way at a time: Autodiscover
	// is charged to the same budget as EWS.
	ParallelDefault = 4
	// TimeoutDefault bounds one candidate, and later one request.
	TimeoutDefault = 10 * time.Second

	// RedirectsMax bounds the redirects of one mailbox, HTTP's and Autodiscover's
	// together. "RedirectUrl (POX)": stop after ten.
	RedirectsMax = 10
	// ladderRedirectsMax bounds those of all candidates of one domain, so that one
	// candidate's circle does not use up what the next one needs.
	ladderRedirectsMax = 3 * RedirectsMax

	bodyMax        = 1 << 20 // bytes of an answer
	drainMax       = 64 << 10
	depthMax       = 32      // elements within elements
	nodesMax       = 100_000 // elements of one document
	addressMax     = 254     // bytes; RFC 5321, section 4.5.3.1, with erratum 1690
	srvRecordsMax  = 3       // DNS records that are tried
	endpointsMax   = 10_000  // end points and domains remembered
	messageTextMax = 200     // bytes of a server's text that are kept

	busyTriesMax      = 6 // tries of one request while the server is busy
	transientTriesMax = 3 // tries of one request that ends in a server's error
	userTriesMax      = 3 // tries of one user whose answer is an error that may pass
	suspectsMax       = 3 // users refused one by one before the end point is to blame

	busyPauseMin = 5 * time.Second
	busyPauseMax = 5 * time.Minute
)
