// Package rpc declares the gRPC messages and the method of the price service that Aperture asks, so
// that a program written for Aperture can be asked too. The messages are generated from
// prices.proto; the method is written by hand because the stubs that a generator makes carry the
// proto package in their names, and ours is not Aperture's.
package rpc

import (
	"context"

	"google.golang.org/grpc"
)

//go:generate protoc -I ../../.. --go_out=../../.. --go_opt=paths=source_relative ../../../internal/pricer/rpc/prices.proto

// MethodGetPrice is the method by the name that Aperture gives it.
const MethodGetPrice = "/pricesrpc.Prices/GetPrice"

// GetPrice asks for the price of a request.
func GetPrice(ctx context.Context, conn grpc.ClientConnInterface, in *GetPriceRequest) (*GetPriceResponse, error) {
	out := new(GetPriceResponse)
	if err := conn.Invoke(ctx, MethodGetPrice, in, out); err != nil {
		return nil, err
	}
	return out, nil
}
