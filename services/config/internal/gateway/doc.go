// Package gateway serves the config service over HTTP with JSON, for those who do not speak gRPC, and publishes the OpenAPI document
// of it at /openapi.json. How calls look is in proto/http.yaml; the package configgw is made of that.
//
// Every request goes through the gRPC server, by a connection in memory: who may do what, limits and validation are decided there and
// nowhere else. What a caller sends in headers is not passed on, except who calls and why.
package gateway
