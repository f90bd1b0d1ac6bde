// Package pricer asks a program of the operator what a request costs.
//
// A program is asked over HTTP or over gRPC. Over HTTP it gets a POST with
//
//	{"service": "books", "method": "GET", "host": "example.com", "path": "/books/1",
//	 "query": "page=2", "headers": {"Accept-Language": "de"}}
//
// and answers with status 200 and
//
//	{"price": "10 sat"}
//
// where the price is a number and a unit: sat, msat, btc or the code of a currency such as usd.
// Members of the answer with other names are ignored. path is decoded, query is as it was sent.
// headers has those that the configuration chose and the request has; several of one name are
// joined with a comma. Credentials are never among them.
//
// Over gRPC it is asked as Aperture asks: pricesrpc.Prices/GetPrice with the path and with the
// request as HTTP/1.1 text. Of the request's headers the text has Host and those that the
// configuration chose, and it has no body.
//
// Everything but a price is an error: another status, an answer that is late or too large, a price
// that is no amount. A price is never guessed, and one that is zero is ErrFree and left to the
// caller. What was answered may be kept for a while; many who ask the same at once ask it once.
package pricer
