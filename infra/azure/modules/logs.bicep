metadata description = '''
Where the apps of a network send logs and figures without leaving it: a private link scope of Azure Monitor, and the one
address that stands for it there.

In the network, all of Azure Monitor's names then lead to that address, of other workspaces too; from a workspace that is
not in the scope nothing is kept from there. Logs are read from anywhere, by identity.
'''

param name string
param location string
param tags object
param subnetId string

@description('Where logs go to.')
param workspaceId string

@description('Where figures go to.')
param insightsId string

@description('Zones that hold Azure Monitor\'s names.')
param zoneIds string[]

resource scope 'Microsoft.Insights/privateLinkScopes@2021-07-01-preview' = {
  name: 'ampls-${name}'
  location: 'global'
  tags: tags
  properties: {
    accessModeSettings: {
      ingestionAccessMode: 'PrivateOnly'
      queryAccessMode: 'Open'
    }
  }

  resource workspace 'scopedResources' = {
    name: 'workspace'
    properties: { linkedResourceId: workspaceId }
  }

  resource insights 'scopedResources' = {
    name: 'insights'
    dependsOn: [workspace] // a scope takes one change at a time
    properties: { linkedResourceId: insightsId }
  }
}

module endpoint 'endpoint.bicep' = {
  params: {
    name: 'pep-ampls-${name}'
    location: location
    tags: tags
    subnetId: subnetId
    targetId: scope.id
    service: 'azuremonitor'
    zoneIds: zoneIds
  }
}
