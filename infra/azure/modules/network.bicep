metadata description = '''
A network for a private deployment: a subnet for each kind of app, as both want one alone, one for private endpoints, and
a NAT gateway for what goes out (webhooks, logs, the image). No subnet has service endpoints, which Flex does not bear
beside private ones.
'''

param name string
param location string
param tags object

@description('A /24, or larger: the subnets are its first three /26.')
param addressSpace string

resource address 'Microsoft.Network/publicIPAddresses@2024-05-01' = {
  name: 'pip-${name}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

resource nat 'Microsoft.Network/natGateways@2024-05-01' = {
  name: 'ng-${name}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIpAddresses: [{ id: address.id }] }
}

var delegations = [
  {
    name: 'apps'
    properties: { serviceName: 'Microsoft.App/environments' }
  }
]

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'vnet-${name}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressSpace] }
    subnets: [
      {
        name: 'functions'
        properties: {
          addressPrefix: cidrSubnet(addressSpace, 26, 0)
          delegations: delegations
          natGateway: { id: nat.id }
        }
      }
      {
        name: 'containers'
        properties: {
          addressPrefix: cidrSubnet(addressSpace, 26, 1)
          delegations: delegations
          natGateway: { id: nat.id }
        }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: cidrSubnet(addressSpace, 26, 2) }
      }
    ]
  }

  resource functions 'subnets' existing = {
    name: 'functions'
  }

  resource containers 'subnets' existing = {
    name: 'containers'
  }

  resource endpoints 'subnets' existing = {
    name: 'endpoints'
  }
}

output functions string = network::functions.id
output containers string = network::containers.id
output endpoints string = network::endpoints.id
