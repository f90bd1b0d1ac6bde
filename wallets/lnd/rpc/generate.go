// Package rpc declares the gRPC messages and methods of LND that the adapters use. The messages
// are generated from lightning.proto; the methods are written by hand because the stubs that a
// generator makes carry the proto package in their names, and ours is not LND's.
package rpc

//go:generate protoc -I ../../.. --go_out=../../.. --go_opt=paths=source_relative ../../../wallets/lnd/rpc/lightning.proto
