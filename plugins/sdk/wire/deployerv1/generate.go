// Copyright (c) The tfdelivery authors
// SPDX-License-Identifier: MPL-2.0

// Package deployerv1 is the protocol delivery.deployer.v1, generated from the
// files under plugins/sdk/wire/proto. The conversions to and from the types of
// plugins/sdk/deployer are in package wire.
package deployerv1

//go:generate sh -c "protoc -I ../proto --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --plugin=protoc-gen-go-grpc=$(go tool -n protoc-gen-go-grpc) --go_out=.. --go_opt=module=github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire --go-grpc_out=.. --go-grpc_opt=module=github.com/tfdelivery/terraform-provider-delivery/plugins/sdk/wire delivery/deployer/v1/types.proto delivery/deployer/v1/deployer.proto"
