metadata description = '''
One storage account, open to identities alone.

It holds what the platform needs before the app has run: the container of the app's package, and the queue of blob
events. Tables, the other queues and the containers of content are made by the app, and must not be made here. An app
that finds the container of content goes by it that everything was once there; tables that are missing then are lost,
and it halts all removal. A table that a deployment made anew, empty, would look like a registry that needs nothing.
'''

import { Grant } from 'roles.bicep'

param name string
param location string
param tags object

@description('How storage keeps its copies.')
param sku string

@description('For how many days what was removed can be brought back.')
param softDeleteDays int

@description('Whether networks reach it by private endpoints alone.')
param isPrivate bool

@description('Container of the app\'s package; none in an account that holds content alone.')
param packageContainer string = ''

@description('Queue that Event Grid tells of new objects.')
param eventQueue string

param grants Grant[]

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled' // and nobody let in where private: so what Azure trusts, Event Grid, still gets in
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      bypass: isPrivate ? 'AzureServices' : 'None'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
      containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    }

    resource package 'containers' = if (!empty(packageContainer)) {
      name: empty(packageContainer) ? 'none' : packageContainer
    }
  }

  resource queues 'queueServices' = {
    name: 'default'

    resource events 'queues' = {
      name: eventQueue
    }
  }
}

resource granted 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    name: guid(account.id, grant.principal, grant.role)
    scope: account
    properties: {
      principalId: grant.principal
      principalType: grant.?kind
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
    }
  }
]

output id string = account.id
output blobEndpoint string = account.properties.primaryEndpoints.blob
output queueEndpoint string = account.properties.primaryEndpoints.queue
output tableEndpoint string = account.properties.primaryEndpoints.table
