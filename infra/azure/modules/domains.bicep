metadata description = '''
Custom domains of the function app, each with a certificate out of a Key Vault. App Service's own principal reads it
there (role Key Vault Certificate User), and takes over a new version within a day.
'''

import { Domain } from 'checks.bicep'

param location string
param tags object
param appName string
param domains Domain[]

resource app 'Microsoft.Web/sites@2024-11-01' existing = {
  name: appName
}

resource certificates 'Microsoft.Web/sites/certificates@2024-11-01' = [
  for domain in domains: {
    parent: app
    name: replace(domain.name, '*', 'wildcard')
    location: location
    tags: tags
    properties: {
      keyVaultId: domain.vault
      keyVaultSecretName: domain.certificate
    }
  }
]

@batchSize(1) // App Service refuses two at once
resource names 'Microsoft.Web/sites/hostNameBindings@2024-11-01' = [
  for (domain, index) in domains: {
    parent: app
    name: domain.name
    properties: {
      siteName: appName
      hostNameType: 'Verified'
      sslState: 'SniEnabled'
      thumbprint: certificates[index].properties.thumbprint
    }
  }
]
