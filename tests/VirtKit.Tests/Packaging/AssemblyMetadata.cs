using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace VirtKit.Tests.Packaging;

/// <summary>What an assembly's tables say it uses. Reads the file only: nothing is loaded or run.</summary>
internal sealed class AssemblyMetadata : IDisposable
{
    private readonly PEReader _file;
    private readonly MetadataReader _reader;

    public AssemblyMetadata(string name)
    {
        _file = new PEReader(File.OpenRead(Path.Combine(AppContext.BaseDirectory, name + ".dll")));
        _reader = _file.GetMetadataReader();
    }

    /// <summary>The simple names of the assemblies it refers to.</summary>
    public IEnumerable<string> References => _reader.AssemblyReferences.Select(handle => Text(_reader.GetAssemblyReference(handle).Name));

    /// <summary>Whether its module was compiled with unsafe blocks allowed, which the compiler records as an attribute.</summary>
    public bool HasUnverifiableCode => _reader.GetCustomAttributes(EntityHandle.ModuleDefinition).Select(_reader.GetCustomAttribute)
        .Any(attribute => AttributeName(attribute) == "UnverifiableCodeAttribute");

    /// <summary>Methods, with their types, that are imported from native code.</summary>
    public IEnumerable<string> NativeMethods => _reader.MethodDefinitions.Select(_reader.GetMethodDefinition)
        .Where(method => (method.Attributes & MethodAttributes.PinvokeImpl) != 0)
        .Select(method => FullName(method.GetDeclaringType()) + "." + Text(method.Name));

    /// <summary>Types and members of another assembly that code in a namespace of this one uses: <c>Namespace.Type</c> or <c>Namespace.Type::Member</c>.</summary>
    /// <param name="assembly">The simple name of the other assembly.</param>
    /// <param name="inNamespace">Only code in types whose namespace starts with this; all code when empty.</param>
    public SortedSet<string> Uses(string assembly, string inNamespace = "")
    {
        var found = new SortedSet<string>(StringComparer.Ordinal);
        foreach (TypeDefinition type in _reader.TypeDefinitions.Select(_reader.GetTypeDefinition))
        {
            if (!NamespaceOf(type).StartsWith(inNamespace, StringComparison.Ordinal))
                continue;
            Add(type.BaseType);
            foreach (InterfaceImplementationHandle implementation in type.GetInterfaceImplementations())
                Add(_reader.GetInterfaceImplementation(implementation).Interface);
            foreach (MethodDefinition method in type.GetMethods().Select(_reader.GetMethodDefinition))
            {
                if (method.RelativeVirtualAddress == 0)
                    continue;
                foreach (EntityHandle token in IlTokens.Of(_file.GetMethodBody(method.RelativeVirtualAddress).GetILBytes()!))
                    Add(token);
            }
        }

        return found;

        void Add(EntityHandle handle)
        {
            switch (handle.Kind)
            {
                case HandleKind.TypeReference when Owner((TypeReferenceHandle)handle) == assembly:
                    found.Add(FullName((TypeReferenceHandle)handle));
                    break;
                case HandleKind.MethodSpecification:
                    Add(_reader.GetMethodSpecification((MethodSpecificationHandle)handle).Method);
                    break;
                case HandleKind.MemberReference:
                    MemberReference member = _reader.GetMemberReference((MemberReferenceHandle)handle);
                    TypeReferenceHandle? parent = Definition(member.Parent);
                    if (parent is { } type && Owner(type) == assembly)
                        found.Add(FullName(type) + "::" + Text(member.Name));
                    break;
                case HandleKind.TypeSpecification when Definition(handle) is { } generic && Owner(generic) == assembly:
                    found.Add(FullName(generic));
                    break;
            }
        }
    }

    public void Dispose() => _file.Dispose();

    /// <summary>The type reference behind a reference or an instantiation of a generic type.</summary>
    private TypeReferenceHandle? Definition(EntityHandle handle)
    {
        if (handle.Kind == HandleKind.TypeReference)
            return (TypeReferenceHandle)handle;
        if (handle.Kind != HandleKind.TypeSpecification)
            return null;
        BlobReader blob = _reader.GetBlobReader(_reader.GetTypeSpecification((TypeSpecificationHandle)handle).Signature);
        if (blob.ReadSignatureTypeCode() != SignatureTypeCode.GenericTypeInstance)
            return null;
        blob.ReadCompressedInteger();
        EntityHandle definition = blob.ReadTypeHandle();
        return definition.Kind == HandleKind.TypeReference ? (TypeReferenceHandle)definition : null;
    }

    private string? Owner(TypeReferenceHandle handle)
    {
        EntityHandle scope = _reader.GetTypeReference(handle).ResolutionScope;
        return scope.Kind switch
        {
            HandleKind.AssemblyReference => Text(_reader.GetAssemblyReference((AssemblyReferenceHandle)scope).Name),
            HandleKind.TypeReference => Owner((TypeReferenceHandle)scope),
            _ => null,
        };
    }

    private string FullName(TypeReferenceHandle handle)
    {
        TypeReference type = _reader.GetTypeReference(handle);
        return type.ResolutionScope.Kind == HandleKind.TypeReference
            ? FullName((TypeReferenceHandle)type.ResolutionScope) + "+" + Text(type.Name)
            : Text(type.Namespace) + "." + Text(type.Name);
    }

    private string FullName(TypeDefinitionHandle handle)
    {
        TypeDefinition type = _reader.GetTypeDefinition(handle);
        return NamespaceOf(type) + "." + Text(type.Name);
    }

    private string NamespaceOf(TypeDefinition type)
    {
        while (type.IsNested)
            type = _reader.GetTypeDefinition(type.GetDeclaringType());
        return Text(type.Namespace);
    }

    private string? AttributeName(CustomAttribute attribute) => attribute.Constructor.Kind == HandleKind.MemberReference
        && _reader.GetMemberReference((MemberReferenceHandle)attribute.Constructor).Parent is { Kind: HandleKind.TypeReference } parent
        ? Text(_reader.GetTypeReference((TypeReferenceHandle)parent).Name)
        : null;

    private string Text(StringHandle handle) => _reader.GetString(handle);
}
